"""The log of one run on its way to the topic: read, limited, cut into records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.agent.keeping.log_reader import LogReader
from parallelm.agent.telemetry.log_limit import LogLimit
from parallelm.schemas.records import LogLines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.agent.keeping.log_reader import LogLine
    from parallelm.agent.telemetry import SeenRun

_LINES_A_READ = 2_000
_LINES_A_RECORD = 500
_BYTES_A_RECORD = 300_000
_BYTES_A_LINE = 16_000


class RunLog:
    """Where one run's log was read to. ``run`` has a folder of logs."""

    def __init__(self, run: SeenRun, next_line: int, now_s: float) -> None:
        assert run.logs is not None  # noqa: S101 - the caller has checked
        self.run = run
        self.is_over = False
        self._reader = LogReader(run.logs, next_line)
        self._limit = LogLimit(run.lines_per_second, now_s)
        self._expected = next_line
        self._unsent = 0
        """Lines that were dropped since the last record."""
        self.dropped = 0
        """Of them, what the last ``read`` has dropped."""

    def read(self, now_s: float) -> tuple[list[LogLines], bool]:
        """Records of what was written since the last call, and whether there may be more at once.

        Raises ``OSError`` when the log cannot be read.
        """
        found = self._reader.read(_LINES_A_READ)
        gap = 0
        if found:
            last = found[-1].number
            gap = last - self._expected + 1 - len(found)
            self._expected = last + 1
        sent = found[: self._limit.take(len(found), now_s)]
        before = max(0, gap)
        records = list(self._records(sent, before))
        left_out = len(found) - len(sent)
        if not records:
            self._unsent += before
        self._unsent += left_out
        self.dropped = before + left_out
        return records, len(found) == _LINES_A_READ

    def rest(self) -> list[LogLines]:
        """A record without lines that tells of lines which were dropped at the end; or none."""
        if not self._unsent:
            return []
        return [self._record((), self._expected)]

    @property
    def next_line(self) -> int:
        """The line after the last one that was read."""
        return self._reader.next_line

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _records(self, lines: Sequence[LogLine], gap: int) -> Iterator[LogLines]:
        self._unsent += gap if lines else 0
        batch: list[LogLine] = []
        size = 0
        for line in lines:
            is_full = len(batch) >= _LINES_A_RECORD or size > _BYTES_A_RECORD
            if batch and (is_full or line.step_id != batch[0].step_id):
                yield self._record(batch, batch[0].number)
                batch, size = [], 0
            batch.append(line)
            size += min(len(line.text) * 4, _BYTES_A_LINE)
        if batch:
            yield self._record(batch, batch[0].number)

    def _record(self, lines: Sequence[LogLine], first: int) -> LogLines:
        dropped, self._unsent = self._unsent, 0
        return LogLines(
            origin=self.run.origin,
            run_id=self.run.key.run_id,
            attempt=self.run.key.attempt,
            step_id=lines[0].step_id if lines else "",
            first_line=first,
            dropped=dropped,
            timestamps_ms=[line.time_ms for line in lines],
            streams=[line.stream for line in lines],
            lines=[_cut(line.text) for line in lines],
        )


def _cut(text: str) -> str:
    """A line that is no longer than a record may have."""
    if len(text) * 4 <= _BYTES_A_LINE:
        return text
    data = text.encode("utf-8", "backslashreplace")
    return text if len(data) <= _BYTES_A_LINE else data[:_BYTES_A_LINE].decode("utf-8", "ignore") + " …"
