"""A client of the native protocol that can do what clickhouse-driver does not: half inserts, other frames, garbage."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Self

from parallelm.mcenter.engine.blocks import copy_block, frame, write_block
from parallelm.mcenter.engine.wire import Reader, socket_source, string, varint

from .conftest import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .conftest import EngineProcess

_DATA, _EXCEPTION, _PROGRESS, _END, _PROFILE = 1, 2, 3, 5, 6


class NativeClient:
    """Speaks revision 54440; ``method`` is the compression of its frames, cut into ``piece`` bytes each."""

    def __init__(
        self, engine: EngineProcess, *, database: str = "", method: int | None = None, piece: int = 10**9
    ) -> None:
        self._socket = engine.socket()
        self._reader = Reader(socket_source(self._socket))
        self._method = method
        self._piece = piece
        self.methods: set[int] = set()
        self.send(hello(database))
        assert self._reader.varint() == 0
        self._reader.text()
        for _ in range(3):
            self._reader.varint()
        self._reader.text()
        self._reader.text()
        self._reader.varint()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def query(self, sql: str, settings: Mapping[str, str] | None = None) -> None:
        """Send a query and the end of its external tables."""
        named = b"".join(string(name) + varint(0) + string(value) for name, value in (settings or {}).items())
        compressed = varint(0 if self._method is None else 1)
        self.send(varint(1), string(""), b"\0", named, string(""), varint(2), compressed, string(sql))
        self.end_of_data()

    def send_numbers(self, numbers: Sequence[int]) -> None:
        """A block of one column ``n UInt64``."""
        values = struct.pack(f"<{len(numbers)}Q", *numbers)
        self._send_block(varint(1) + varint(len(numbers)) + string("n") + string("UInt64") + values)

    def end_of_data(self) -> None:
        """The empty block."""
        self._send_block(varint(0) + varint(0))

    def hang_up(self) -> None:
        """Say that nothing more comes, and read until the server hangs up too."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(65536):
                pass
        except OSError:
            return

    def cancel(self) -> None:
        self.send(varint(3))

    def until_end(self) -> str | None:
        """Read packets up to the end of the answer; the message of an exception, or None."""
        reader = self._reader
        while True:
            kind = reader.varint()
            if kind == _DATA:
                reader.text()
                if self._method is None:
                    copy_block(reader, lambda _data: None, compressed=False)
                else:
                    reader.skip(16)
                    method, size, _plain = struct.unpack("<BII", reader.raw(9))
                    self.methods.add(method)
                    reader.skip(size - 9)
            elif kind == _PROGRESS:
                for _ in range(5):
                    reader.varint()
            elif kind == _PROFILE:
                for _ in range(3):
                    reader.varint()
                reader.skip(1)
                reader.varint()
                reader.skip(1)
            elif kind == _EXCEPTION:
                reader.skip(4)
                reader.text()
                return reader.text()
            else:
                assert kind == _END, kind
                return None

    def _send_block(self, body: bytes) -> None:
        plain = write_block(body, None)
        pieces = [plain[at : at + self._piece] for at in range(0, len(plain), self._piece)]
        packed = plain if self._method is None else b"".join(frame(piece, self._method) for piece in pieces)
        self.send(varint(2), string(""), packed)


def hello(database: str = "", user: str = "default", password: str = PASSWORD) -> bytes:
    """The client's part of the handshake."""
    name = string("test") + varint(1) + varint(0) + varint(54468)
    return varint(0) + name + string(database) + string(user) + string(password)
