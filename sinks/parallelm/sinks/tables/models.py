"""``mlops.models``: one row an announcement; a repeated one replaces it."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(
    topics.MODELS, table="models_log", columns=columns_of(records.ModelAnnouncement), replaceable=True
)
