"""``mlops.notifications``: one row a state of a notification."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(topics.NOTIFICATIONS, table="notifications", columns=columns_of(records.Notification))
