"""``mlops.kpis``: one row a point."""

from __future__ import annotations

from typing import NamedTuple

from parallelm.schemas import records, topics
from parallelm.sinks.columns import Columns, columns_of
from parallelm.sinks.record_rows import TableSpec


class _KpiRow(NamedTuple):
    batch: records.KpiBatch
    point: records.KpiPoint


# Points with the same labels are the same point, in whatever order the labels came.
_SORTED_LABELS = Columns({"labels": lambda row: dict(sorted(row.point.labels.items()))})

TABLE = TableSpec(
    topics.KPIS,
    table="kpis",
    columns=columns_of(records.KpiBatch, "batch", leave_out=["points"])
    | columns_of(records.KpiPoint, "point", names={"timestamp_ms": "event_time"})
    | _SORTED_LABELS,
    sources=lambda batch: [_KpiRow(batch, point) for point in batch.points],
    numbered=True,
)
