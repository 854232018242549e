"""The event time by which a sample or event is judged."""

from __future__ import annotations

MAX_AHEAD_MS = 300_000
"""How far an event time may be ahead of the broker's clock."""


def judged_at(event_time_ms: float, arrived_ms: float) -> float:
    """Event time in whole milliseconds; the broker's clock for one that is too far ahead of it.

    A wrong clock must not deafen a series: what reports come after it with the right time would count as late.
    """
    return event_time_ms // 1 if event_time_ms <= arrived_ms + MAX_AHEAD_MS else float(arrived_ms)
