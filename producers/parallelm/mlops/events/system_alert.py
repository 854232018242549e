"""Alert about the system that the component runs on."""

from __future__ import annotations

from typing import Any

from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType


class SystemAlert(Event):
    """Alert about the system that the component runs on."""

    def __init__(self, label: str, description: str | None = None, data: Any = None) -> None:
        super().__init__(label, description, data, EventType.System, is_alert=True)
