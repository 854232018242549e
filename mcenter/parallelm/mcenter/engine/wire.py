"""Primitives of ClickHouse's native protocol: variable-length numbers, strings, and a bounded reader of a socket.

The reader grows only by bytes that have arrived, whatever length the other side announces.
"""

from __future__ import annotations

import select
import ssl
import struct
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket

RECEIVE_BYTES = 256 * 1024
MAX_STRING_BYTES = 64 * 1024 * 1024
_CONTINUES = 0x80
_MAX_VARINT_SHIFT = 63
_RUN, _LONGEST_RUN = 16, 65_536
"""After so many strings of one length the next ones are looked at together, and how many at once."""


class ProtocolError(Exception):
    """The client sent something that is not ClickHouse's protocol, or exceeds a limit; its connection ends."""


class Source(Protocol):
    """Where a reader gets more bytes from; empty bytes mean the end."""

    def __call__(self, wanted: int, /) -> bytes:
        """At least one byte, at most about ``wanted``; blocks."""


class Write(Protocol):
    """Where a reader puts what it walked over."""

    def __call__(self, data: bytes | memoryview, /) -> None:
        """Take all of it; the memory is used again afterwards."""


class Reader:
    """Reads numbers and strings from a source of bytes, and can keep or pass on the raw bytes that it walks over."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._data = bytearray()
        self._at = 0
        self._keeps = False
        self._write: Write | None = None
        self._passed_on = 0
        self._limit: int | None = None
        self._deadline: float | None = None

    def deadline_in(self, seconds: float | None) -> None:
        """Everything up to the next call must arrive within ``seconds``: sending byte by byte does not extend the time-out."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    @property
    def buffered(self) -> bool:
        """Whether bytes wait that were received but not read."""
        return self._at < len(self._data)

    def mark(self, limit: int) -> None:
        """Keep what is read from here on for ``taken``; more than ``limit`` bytes are a ``ProtocolError``."""
        self._discard()
        self._keeps, self._limit = True, limit

    def taken(self) -> bytes:
        """Raw bytes read since ``mark``."""
        raw = bytes(memoryview(self._data)[: self._at])
        self._keeps, self._limit = False, None
        return raw

    def pass_on(self, write: Write, limit: int) -> None:
        """Give what is read from here on to ``write``, until ``end``; more than ``limit`` bytes are a ``ProtocolError``."""
        self._discard()
        self._write, self._passed_on, self._limit = write, 0, limit

    def end(self) -> None:
        """All that was read since ``pass_on`` is passed on now."""
        self._discard()
        self._write = self._limit = None

    def ensure(self, count: int) -> None:
        """Wait until ``count`` bytes lie ready; ``EOFError`` when the other side ends before."""
        self._check_limit(count)
        while (missing := count - (len(self._data) - self._at)) > 0:
            self._discard()
            self._data += self._receive(missing)

    def _check_limit(self, count: int) -> None:
        if self._limit is not None and self._passed_on + self._at + count > self._limit:
            raise ProtocolError(f"a block of more than {self._limit} bytes; send smaller blocks")

    def _receive(self, wanted: int) -> bytes:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TimeoutError("the other side is too slow")
        if not (more := self._source(wanted)):
            raise EOFError
        return more

    def _discard(self) -> None:
        """Drop what was read, unless it is kept for ``taken``."""
        if self._keeps or not self._at:
            return
        if self._write is not None:
            with memoryview(self._data) as read:
                self._write(read[: self._at])
            self._passed_on += self._at
        del self._data[: self._at]
        self._at = 0

    def has_more(self) -> bool:
        """Whether another byte comes before the end; waits for it."""
        try:
            self.ensure(1)
        except EOFError:
            return False
        return True

    def skip(self, count: int) -> None:
        """Walk over ``count`` bytes: they need not lie ready at once, unless they are kept."""
        self._check_limit(count)
        while self._write is not None and count > len(self._data) - self._at:
            count -= len(self._data) - self._at
            self._at = len(self._data)
            self._discard()
            self._data += self._receive(count)
        self.ensure(count)
        self._at += count

    def raw(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        self.ensure(count)
        start = self._at
        self._at += count
        return bytes(memoryview(self._data)[start : self._at])

    def byte(self) -> int:
        """The next byte as a number."""
        self.ensure(1)
        self._at += 1
        return self._data[self._at - 1]

    def u64(self) -> int:
        """The next eight bytes, little-endian."""
        self.skip(8)
        number: int = struct.unpack_from("<Q", self._data, self._at - 8)[0]
        return number

    def varint(self) -> int:
        """The next LEB128 number."""
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < _CONTINUES:
                return number
            shift += 7
            if shift > _MAX_VARINT_SHIFT:
                raise ProtocolError("a number of more than 64 bits")

    def text(self, limit: int = MAX_STRING_BYTES) -> str:
        """The next string; bytes that are not UTF-8 are replaced."""
        length = self.varint()
        if length > limit:
            raise ProtocolError(f"a string of {length} bytes where at most {limit} are allowed")
        return self.raw(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Walk over ``count`` strings: the inner loop of every uncompressed or split insert, hence in one function."""
        last = run = 0
        while count:
            data, at = self._data, self._at
            # The common string is short and already here; everything else takes the checked way.
            if at < len(data) and data[at] < _CONTINUES and at + data[at] < len(data):
                size = data[at]
                self._at = at + 1 + size
                count -= 1
                run = run + 1 if size == last else 0
                last = size
                if run == _RUN:
                    count -= self._skip_equally_long(size, count)
                    run = 0
            else:
                length = self.varint()
                if length > MAX_STRING_BYTES:
                    raise ProtocolError(
                        f"a string of {length} bytes where at most {MAX_STRING_BYTES} are allowed"
                    )
                self.skip(length)
                count -= 1

    def _skip_equally_long(self, size: int, most: int) -> int:
        """Walk over strings of ``size`` bytes, as far as they lie ready; how many they were."""
        step, taken, window = size + 1, 0, _RUN
        while taken < most:
            many = min(window, most - taken)
            end = self._at + many * step
            if end > len(self._data) or self._data[self._at : end : step] != bytes((size,)) * many:
                break
            self._at = end
            taken += many
            window = min(2 * window, _LONGEST_RUN)
        return taken


def readable(connection: socket.socket) -> bool:
    """Whether bytes, or the other side's end, wait to be read. Not ``select.select``: it ends at 1024 open files."""
    if isinstance(connection, ssl.SSLSocket) and connection.pending():
        return True
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(0))


def socket_source(connection: socket.socket) -> Source:
    """Source of a connected socket; a socket time-out becomes ``TimeoutError``."""

    def receive(wanted: int) -> bytes:
        return connection.recv(max(RECEIVE_BYTES, min(wanted, 16 * RECEIVE_BYTES)))

    return receive


def varint(number: int) -> bytes:
    """LEB128 of a number that is not negative."""
    encoded = bytearray()
    while number >= _CONTINUES:
        encoded.append(number & 0x7F | _CONTINUES)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def string(value: str | bytes) -> bytes:
    """A string with its length before it."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw)) + raw
