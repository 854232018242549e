"""Page-Hinkley: has the sum of deviations from the mean moved away from its extreme? (Page, Biometrika 41, 1954).

The samples since the extreme are those after the change, so that its levels can be told.
"""

from __future__ import annotations

from typing import NamedTuple

from parallelm.stream_processors.alerts.detectors import LevelChange


class PageHinkleySettings(NamedTuple):
    """As river names them; ``direction`` is its ``mode``."""

    min_samples: int
    delta: float
    """Deviations smaller than this do not sum up."""
    threshold: float
    alpha: float
    direction: str


class PageHinkleyState(NamedTuple):
    """What is remembered of the samples since the last change."""

    seen: int = 0
    mean: float = 0.0
    up: float = 0.0
    """Sum of the deviations, for rises."""
    lowest: float | None = None
    up_count: int = 0
    """Samples since the sum was lowest, and their total."""
    up_total: float = 0.0
    down: float = 0.0
    highest: float = -1.0
    down_count: int = 0
    down_total: float = 0.0


def update(
    state: PageHinkleyState, value: float, settings: PageHinkleySettings
) -> tuple[PageHinkleyState, LevelChange | None]:
    """State after a finite sample. After a change it begins anew."""
    seen = state.seen + 1
    mean = state.mean + (value - state.mean) / seen
    deviation = value - mean
    up = settings.alpha * state.up + deviation - settings.delta
    down = settings.alpha * state.down + deviation + settings.delta
    lowest, up_count, up_total = state.lowest, state.up_count + 1, state.up_total + value
    if lowest is None or up < lowest:
        lowest, up_count, up_total = up, 0, 0.0
    highest, down_count, down_total = state.highest, state.down_count + 1, state.down_total + value
    if down > highest:
        highest, down_count, down_total = down, 0, 0.0
    after = PageHinkleyState(
        seen, mean, up, lowest, up_count, up_total, down, highest, down_count, down_total
    )
    if seen < settings.min_samples:
        return after, None
    if settings.direction != "decrease" and up - lowest > settings.threshold:
        return PageHinkleyState(), _levels(after, up_count, up_total)
    if settings.direction != "increase" and highest - down > settings.threshold:
        return PageHinkleyState(), _levels(after, down_count, down_total)
    return after, None


def _levels(state: PageHinkleyState, count: int, total: float) -> LevelChange:
    before = state.seen - count
    return LevelChange((state.mean * state.seen - total) / before, total / count, before, count)
