"""Alert about a model's health."""

from __future__ import annotations

from typing import Any

from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType


class HealthAlert(Event):
    """Alert about a model's health."""

    def __init__(self, label: str, description: str | None = None, data: Any = None) -> None:
        super().__init__(label, description, data, EventType.Health, is_alert=True)
