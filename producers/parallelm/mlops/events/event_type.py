"""Types of events: each has a number, used in stand-alone lines, and a name, used in records."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import guarded, quoted
from parallelm.mlops.stats._values import string
from parallelm.schemas.well_known import (
    CANARY_HEALTH,
    DATA_ALERT,
    GENERIC_EVENT,
    HEALTH_ALERT,
    ML_HEALTH_MODEL,
    MODEL_ACCEPTED,
    MODEL_EVENT,
    SYSTEM_ALERT,
)


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


_NUMBERS: Final = {
    GENERIC_EVENT: 0,
    MODEL_EVENT: 1,
    ML_HEALTH_MODEL: 2,
    MODEL_ACCEPTED: 3,
    "StatsMessage": 4,
    "Anomaly": 50,
    "Alert": 51,
    DATA_ALERT: EventType.Data.value,
    HEALTH_ALERT: EventType.Health.value,
    SYSTEM_ALERT: EventType.System.value,
    "CanaryMessage": 150,
    CANARY_HEALTH: EventType.CanaryHealth.value,
}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}


def type_name(event_type: Any) -> str:
    """Name of a type given as ``EventType``, number or name; raises ``MLOpsException`` for unknown types."""
    name = _known(event_type, "the type of an event")
    if name is None:
        raise MLOpsException(f"unknown event type {quoted(event_type)}; known types: {', '.join(_NUMBERS)}")
    return name


@guarded
def _known(event_type: Any, what: str) -> str | None:
    if isinstance(event_type, str):
        name = string(event_type, what)
        return name if name in _NUMBERS else None
    if isinstance(event_type, int) and not isinstance(event_type, bool):
        return _NAMES.get(int.__int__(event_type))
    return None


def type_number(name: str) -> int:
    """Number of the type with this name."""
    return _NUMBERS[name]
