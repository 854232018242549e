"""Alert about anomalous input."""

from __future__ import annotations

from typing import Any

from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType


class DataAlert(Event):
    """Alert about anomalous input."""

    def __init__(self, label: str, description: str | None = None, data: Any = None) -> None:
        super().__init__(label, description, data, EventType.Data, is_alert=True)
