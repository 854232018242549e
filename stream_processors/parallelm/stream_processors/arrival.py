"""Where and when a record came in: what every decision that follows from it refers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.stream_processors.alerts.transitions import Cause

if TYPE_CHECKING:
    from parallelm.schemas.records import RecordPosition


@dataclass(frozen=True, slots=True)
class Arrival:
    """Of one record."""

    position: RecordPosition
    arrived_ms: int
    """The broker's clock."""
    now_ms: int
    """The worker's clock: what ``decided_at`` says."""

    def cause(self, position: RecordPosition) -> Cause:
        """Cause of alerts that a record at ``position`` led to."""
        return Cause(position, self.now_ms)
