"""``mlops.actions``: one row a decision of a person."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(topics.ACTIONS, table="actions", columns=columns_of(records.UserAction))
