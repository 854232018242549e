"""``mlops.events``: one row an event."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(topics.EVENTS, table="events", columns=columns_of(records.Event))
