"""``mlops.actuals``: one row an outcome, or a revision of one."""

from __future__ import annotations

from dataclasses import dataclass

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.record_rows import TableSpec


@dataclass(frozen=True, slots=True)
class _Actual:
    prediction_id: str
    event_time_ms: int
    actual: str


@dataclass(frozen=True, slots=True)
class _Row:
    report: records.Actuals
    actual: _Actual


def check(report: records.Actuals) -> None:
    """Raise ``InvalidRecordError`` when the arrays differ in length."""
    count = len(report.ids)
    for what, length in (("timestamps_ms", len(report.timestamps_ms)), ("values", len(report.values))):
        if length != count:
            raise InvalidRecordError(f"there are {count} ids and {length} {what}")


def _rows(report: records.Actuals) -> list[_Row]:
    rows = zip(report.ids, report.timestamps_ms, report.values, strict=True)
    return [_Row(report, _Actual(*row)) for row in rows]


TABLE = TableSpec(
    topics.ACTUALS,
    table="actuals",
    columns=columns_of(records.Actuals, "report", leave_out=["ids", "timestamps_ms", "values"])
    | columns_of(_Actual, "actual"),
    sources=_rows,
    check=check,
    numbered=True,
)
