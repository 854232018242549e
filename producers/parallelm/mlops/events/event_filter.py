"""Which events are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(slots=True)
class EventFilter:
    """Every field that is set narrows the result."""

    type: str | None = None
    mlapp_node: str | None = None
    """Name of a node."""
    agent: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    is_alert: bool | None = None
