"""The log of a run: what its programs write, line by line, with time, stream and step, in segments of bounded size.

A segment is named by the number of its first line. A line in it is ``MILLISECONDS STREAM STEP TEXT``: stream ``o`` is
stdout, ``e`` stderr, ``k`` what the keeper has to say. Lines that the disk does not take are missing between the segments.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque

LONGEST_LINE = 32_768
"""A line that is longer becomes several."""
_SEGMENTS = 8
_RETRY_S = 1.0


class LogWriter:
    """Appends lines; never raises for what the disk refuses, and keeps about ``max_bytes``, for ``keep_s``."""

    def __init__(self, folder: str, max_bytes: int, keep_s: float, next_line: int = 1) -> None:
        self._folder = folder
        self._segment_bytes = max(max_bytes // _SEGMENTS, 1)
        self._segment_s = keep_s / _SEGMENTS
        self._max_bytes, self._keep_s = max_bytes, keep_s
        self._written: deque[tuple[str, int, float]] = deque()
        self._next_line = next_line
        self._file = -1
        self._path = self._folder
        self._size = 0
        self._began_s = 0.0
        self._retry_at_s = 0.0
        self.dropped = 0
        """Lines that the disk did not take."""

    def write(self, stream: bytes, step: bytes, lines: bytes) -> None:
        """Append whole lines, each with its end."""
        prefix = b"%d %b %b " % (time.time_ns() // 1_000_000, stream, step)
        count = lines.count(b"\n")
        self._append(prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n", count)
        self._next_line += count
        now_s = time.monotonic()
        if self._file >= 0 and (self._size >= self._segment_bytes or now_s - self._began_s > self._segment_s):
            self._end_segment()
            self._delete_old()

    def close(self) -> None:
        """Close the segment."""
        if self._file >= 0:
            self._end_segment()

    def _append(self, block: bytes, count: int) -> None:
        if self._file < 0 and time.monotonic() < self._retry_at_s:
            self.dropped += count
            return
        try:
            if self._file < 0:
                self._begin_segment()
            written = 0
            while written < len(block):
                written += os.write(self._file, block[written:] if written else block)
            self._size += written
        except OSError:
            self._refused(count)

    def _begin_segment(self) -> None:
        self._path = f"{self._folder}/{self._next_line:012d}.log"
        self._size, self._began_s = 0, time.monotonic()
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _end_segment(self) -> None:
        os.close(self._file)
        self._file = -1
        self._written.append((self._path, self._size, time.monotonic()))

    def _refused(self, count: int) -> None:
        """Give up the block and the segment: the name of the next one says how many lines are missing."""
        self.dropped += count
        self._retry_at_s = time.monotonic() + _RETRY_S
        if self._file < 0:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, self._size)
        self._end_segment()
        if not self._size:
            with contextlib.suppress(OSError):
                os.unlink(self._written.pop()[0])  # noqa: PTH108 - paths take memory

    def _delete_old(self) -> None:
        now_s, total = time.monotonic(), sum(size for _, size, _ in self._written)
        while self._written:
            path, size, ended_s = self._written[0]
            if total <= self._max_bytes - self._segment_bytes and now_s - ended_s < self._keep_s:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - as above
            total -= size
            self._written.popleft()


class OutputLines:
    """One stream of a program: makes whole lines of what is read."""

    def __init__(self, log: LogWriter, stream: bytes, step: str) -> None:
        self._log, self._stream, self._step = log, stream, step.encode()
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take what was read."""
        whole, end, rest = (self._rest + chunk).rpartition(b"\n")
        if end:
            self._write(whole)
        while len(rest) >= LONGEST_LINE:
            self._write(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._rest = rest

    def end(self) -> None:
        """Take what is left without a line end."""
        if self._rest:
            self._write(self._rest)
            self._rest = b""

    def _write(self, text: bytes) -> None:
        if len(text) > LONGEST_LINE:
            lines = text.split(b"\n")
            if max(map(len, lines)) > LONGEST_LINE:
                text = b"\n".join(piece for line in lines for piece in _pieces(line))
        self._log.write(self._stream, self._step, text + b"\n")


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST_LINE] for at in range(0, len(line), LONGEST_LINE)] or [line]
