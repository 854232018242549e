"""Which events are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.schemas.times import Time


@dataclass(slots=True)
class EventFilter:
    """Every field that is set narrows the result."""

    type: str | None = None
    mlapp_node: str | None = None
    """Name of a node."""
    agent: str | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    is_alert: bool | None = None
