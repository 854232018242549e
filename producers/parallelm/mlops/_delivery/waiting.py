"""The queue of everything but samples between callers and the sender thread, bounded in records and in bytes."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from parallelm.mlops._delivery.broker_away import MAX_WAITING_BYTES, MAX_WAITING_RECORDS
from parallelm.mlops._delivery.drops import named
from parallelm.schemas.records import KpiPoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops._delivery.encoding.topic_records import MakeRecord
    from parallelm.schemas.topics import Topic


class RecordInWaiting(NamedTuple):
    """A queued record; it gets its number when it is sent."""

    topic: Topic
    make: MakeRecord
    delivered: Callable[[], None] | None = None
    """Called in the sender thread when a broker has the record."""
    size_bytes: int = 0
    """Approximate size in memory."""
    what: str = ""
    """What it is, as the log shows it."""


class WaitingRecords(deque[RecordInWaiting | KpiPoint]):
    """Callers add, the sender thread takes. Each side counts its own bytes, so that they share no lock."""

    __slots__ = ("_added_bytes", "_taken_bytes")

    def __init__(self) -> None:
        super().__init__()
        self._added_bytes = self._taken_bytes = 0

    def has_room(self) -> bool:
        """Whether another record may wait."""
        return len(self) < MAX_WAITING_RECORDS and self._added_bytes - self._taken_bytes < MAX_WAITING_BYTES

    def add(self, record: RecordInWaiting | KpiPoint) -> None:
        """Append; the caller holds a lock against other callers."""
        self._added_bytes += _size_bytes(record)
        self.append(record)

    def take(self) -> None:
        """Remove the oldest one."""
        self._taken_bytes += _size_bytes(self.popleft())


def _size_bytes(record: RecordInWaiting | KpiPoint) -> int:
    return 0 if isinstance(record, KpiPoint) else record.size_bytes


def contents(record: RecordInWaiting | KpiPoint) -> dict[str, int]:
    """What the record holds, and how many of it, as the log shows it."""
    if isinstance(record, KpiPoint):
        return {named("KPI", record.name): 1}
    return {f"{record.what or record.topic.name} of about {record.size_bytes:,} bytes": 1}
