"""``mlops.runs``: one row a transition of a run; a repeated one replaces it."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(
    topics.RUNS,
    table="run_transitions_log",
    columns=columns_of(records.RunTransition),
    replaceable=True,
)
