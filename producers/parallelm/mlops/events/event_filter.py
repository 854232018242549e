"""Filter of events for ``EventBroker``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.schemas.times import Time


@dataclass(slots=True)
class EventFilter:
    """An event passes if it matches every field that is set."""

    type: str | None = None
    mlapp_node: str | None = None
    """Name of a node."""
    agent: str | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    is_alert: bool | None = None
