"""``mlops.dead-letters``: one row a record and stage; a repeated one replaces it."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(
    topics.DEAD_LETTERS, table="dead_letters_log", columns=columns_of(records.DeadLetter), replaceable=True
)
