"""Reads the log of a run from a line on, while it is written and after."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAMS = {b"o": "stdout", b"e": "stderr", b"k": "keeper"}
"""Streams by their sign in the file; ``keeper``: what the keeper itself says."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line."""

    number: int
    """From 1, over all steps and starts of the run."""
    time_ms: int
    stream: str
    step_id: str
    text: str


class LogReader:
    """A place in the log. ``next_line`` is all that is worth keeping of it."""

    def __init__(self, folder: Path, next_line: int = 1) -> None:
        self._folder = folder
        self.next_line = next_line
        self._first: int | None = None
        self._file: BinaryIO | None = None

    def read(self, limit: int) -> list[LogLine]:
        """The next lines, at most ``limit``. A gap in their numbers: the lines were dropped, or deleted for their age."""
        found: list[LogLine] = []
        while len(found) < limit:
            found += self._read_segment(limit - len(found))
            if len(found) >= limit or not self._to_next_segment():
                break
        return found

    def close(self) -> None:
        """Close the segment."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_segment(self, limit: int) -> Iterator[LogLine]:
        if self._file is None and not self._open():
            return
        assert self._file is not None  # noqa: S101 - opened above
        while limit > 0:
            at = self._file.tell()
            line = self._file.readline()
            if not line.endswith(b"\n"):  # not whole yet
                self._file.seek(at)
                return
            yield _parsed(self.next_line, line[:-1])
            self.next_line += 1
            limit -= 1

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self._folder.glob("*.log"))

    def _open(self) -> bool:
        """Open the segment that has the next line, or the first one behind it."""
        segments = self._segments()
        if not segments:
            return False
        index = max(bisect_right(segments, self.next_line) - 1, 0)
        return self._open_at(segments[index])

    def _open_at(self, first: int) -> bool:
        try:
            self._file = (self._folder / f"{first:012d}.log").open("rb")
        except FileNotFoundError:  # deleted meanwhile
            return False
        self._first = first
        for number in range(first, self.next_line):
            if not self._file.readline().endswith(b"\n"):
                self.next_line = max(self.next_line, number)
                break
        self.next_line = max(self.next_line, first)
        return True

    def _to_next_segment(self) -> bool:
        """Go on to the segment behind this one, once there is one: this one is complete then."""
        if self._first is None:
            return False
        later = [first for first in self._segments() if first > self._first]
        if not later:
            return False
        if self._file is not None and (line := self._file.readline()):
            # Written between the last reading and the listing.
            self._file.seek(-len(line), 1)
            return line.endswith(b"\n")
        self.close()
        return self._open_at(later[0])


def _parsed(number: int, line: bytes) -> LogLine:
    time_ms, _, rest = line.partition(b" ")
    stream, _, rest = rest.partition(b" ")
    step, _, text = rest.partition(b" ")
    return LogLine(
        number,
        int(time_ms) if time_ms.isdigit() else 0,
        STREAMS.get(stream, ""),
        step.decode("utf-8", "replace"),
        text.decode("utf-8", "backslashreplace"),
    )
