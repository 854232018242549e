"""Types of events: a number, which stand-alone lines carry, and a name, which records carry."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from parallelm.mlops.mlops_exception import MLOpsException


class EventType(IntEnum):
    """Types that components may give to ``set_event``."""

    Health = 53
    """Alert about a model's health."""
    Data = 52
    """Alert about anomalous input."""
    System = 54
    """Alert about the system: memory, files, permissions."""
    CanaryHealth = 151
    """How the predictions of a canary differ from the main pipeline's."""


GENERIC_EVENT: Final = "GenericEvent"
MODEL_ACCEPTED: Final = "ModelAccepted"

_NUMBERS: Final = {
    GENERIC_EVENT: 0,
    "Model": 1,
    "MLHealthModel": 2,
    MODEL_ACCEPTED: 3,
    "StatsMessage": 4,
    "Anomaly": 50,
    "Alert": 51,
    "GenericDataAlert": EventType.Data.value,
    "GenericHealthAlert": EventType.Health.value,
    "GenericSystemAlert": EventType.System.value,
    "CanaryMessage": 150,
    "CanaryHealth": EventType.CanaryHealth.value,
}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}


def type_name(event_type: Any) -> str:
    """Name of an ``EventType``, of its number, or of itself; raises ``MLOpsException`` for unknown ones."""
    if isinstance(event_type, int) and not isinstance(event_type, bool) and event_type in _NAMES:
        return _NAMES[event_type]
    if isinstance(event_type, str) and event_type in _NUMBERS:
        return event_type
    raise MLOpsException(f"unknown event type {event_type!r}; there are: {', '.join(_NUMBERS)}")


def type_number(name: str) -> int:
    """Number of a type's name."""
    return _NUMBERS[name]
