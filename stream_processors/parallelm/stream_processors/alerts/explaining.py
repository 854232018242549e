"""Sentences that say why an alert changed its state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parallelm.definitions.durations import approximate_duration, format_duration
from parallelm.schemas.records import AlertState

if TYPE_CHECKING:
    from parallelm.stream_processors.alerts.lifecycle import Step

_CLEAR = frozenset({AlertState.RESOLVED, AlertState.INACTIVE})


def condition(
    what: str, side: str, threshold: float, step: Step, for_ms: float, value: float | None = None
) -> str:
    """``what`` beside its limit: where it is, and for how long, or that it is there no longer."""
    number = step.value if value is None else value
    return f"{what} is {number:.4g}, {beside(f'{side} {threshold:g}', step, for_ms)}"


def beside(limit: str, step: Step, for_ms: float) -> str:
    """What a step says of a limit: how long it has been breached, or that it is no longer."""
    if step.state in _CLEAR:
        return f"no longer {limit}"
    if step.state is AlertState.PENDING:
        return f"{limit}; fires when this lasts {format_duration(for_ms)}"
    lasted = step.at_ms - step.started_ms
    return limit + (f" for {approximate_duration(lasted)}" if lasted else "")


def moment(at_ms: float) -> str:
    """A time as text, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
