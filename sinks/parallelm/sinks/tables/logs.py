"""``mlops.logs``: one row a line; a line that is sent again replaces it."""

from __future__ import annotations

from dataclasses import dataclass

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.record_rows import TableSpec

_STREAMS = frozenset({"stdout", "stderr", "keeper"})
"""What a program writes, and what its keeper says of it."""


@dataclass(frozen=True, slots=True)
class _Line:
    line: int
    dropped: int
    event_time_ms: int
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class _Row:
    report: records.LogLines
    line: _Line


def check(report: records.LogLines) -> None:
    """Raise ``InvalidRecordError`` when the lists differ in length, or a stream or number is none that exists."""
    count = len(report.lines)
    if len(report.timestamps_ms) != count or len(report.streams) != count:
        raise InvalidRecordError(
            f"there are {count} lines, {len(report.timestamps_ms)} timestamps_ms and {len(report.streams)} streams"
        )
    if unknown := set(report.streams) - _STREAMS:
        raise InvalidRecordError(f"stream is {min(unknown)!r}; it must be stdout, stderr or keeper")
    if report.first_line < 1 or report.dropped < 0:
        raise InvalidRecordError(
            f"first_line is {report.first_line} and dropped {report.dropped}; "
            "lines are counted from 1, and dropped ones from 0"
        )


def _rows(report: records.LogLines) -> list[_Row]:
    dropped = [report.dropped, *[0] * (len(report.lines) - 1)]
    numbers = range(report.first_line, report.first_line + len(report.lines))
    lines = zip(numbers, dropped, report.timestamps_ms, report.streams, report.lines, strict=False)
    return [_Row(report, _Line(*line)) for line in lines]


TABLE = TableSpec(
    topics.LOGS,
    table="logs",
    columns=columns_of(
        records.LogLines,
        "report",
        leave_out=["first_line", "dropped", "timestamps_ms", "streams", "lines"],
    )
    | columns_of(_Line, "line"),
    sources=_rows,
    check=check,
    numbered=True,
    replaceable=True,
)
