"""ADWIN: a window that grows while its parts are alike, and loses its older part when they are not.

Bifet and Gavaldà, Learning from Time-Changing Data with Adaptive Windowing, SDM 2007. The window is stored as buckets of
1, 2, 4 … samples, at most five of each size: some dozens of numbers for millions of samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from parallelm.stream_processors.alerts.detectors import LevelChange

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BUCKETS = 5
"""Buckets of one size."""
MAX_ROWS = 20
"""Sizes of buckets: a window has up to five million samples, then its oldest are dropped."""
MIN_PART = 5
"""Samples that each part of a cut has at least."""


class AdwinSettings(NamedTuple):
    """As river names them, but for ``check_every`` (``clock``) and ``min_samples`` (``grace_period``)."""

    delta: float
    """Probability that a change is found where there is none."""
    check_every: int
    min_samples: int


Bucket = Sequence[float]
"""Sum of its samples, and sum of their squared deviations from their mean."""
Row = Sequence[Bucket]


class AdwinState(NamedTuple):
    """The window. Row ``n`` holds buckets of 2 to the power of ``n`` samples, oldest first."""

    rows: Sequence[Row] = ((),)
    width: int = 0
    total: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations from the mean of the window."""
    ticks: int = 0


def update(state: AdwinState, value: float, settings: AdwinSettings) -> tuple[AdwinState, LevelChange | None]:
    """State after a finite sample. After a change it begins anew, as river's does."""
    state = _with(state, value)
    if state.ticks % settings.check_every or state.width <= settings.min_samples:
        return state, None
    change = _change(state, settings.delta)
    return (state, None) if change is None else (AdwinState(), change)


def _with(state: AdwinState, value: float) -> AdwinState:
    squares = state.squares
    if state.width:
        deviation = value - state.total / state.width
        squares += state.width * deviation * deviation / (state.width + 1)
    rows: list[Row] = [(*state.rows[0], (value, 0.0)), *state.rows[1:]]
    _merge(rows)
    grown = AdwinState(rows, state.width + 1, state.total + value, squares, state.ticks + 1)
    return grown if len(rows) <= MAX_ROWS else _without_oldest(grown)


def _merge(rows: list[Row]) -> None:
    """Two buckets of a row that is too long become one of the next."""
    for at, row in enumerate(rows):
        if len(row) <= MAX_BUCKETS:
            return
        (total, squares), (other_total, other_squares), *rest = row
        size = 2**at
        apart = (total - other_total) / size
        merged = (total + other_total, squares + other_squares + size * apart * apart / 2)
        rows[at] = tuple(rest)
        if at + 1 == len(rows):
            rows.append(())
        rows[at + 1] = (*rows[at + 1], merged)


def _without_oldest(state: AdwinState) -> AdwinState:
    (total, squares), *rest = state.rows[-1]
    size = 2 ** (len(state.rows) - 1)
    width, left = state.width - size, state.total - total
    lost = squares
    if width:
        apart = total / size - left / width
        lost += size * width * apart * apart / state.width
    rows = [*state.rows[:-1], rest] if rest else state.rows[:-1] or ((),)
    return AdwinState(rows, width, left, state.squares - lost, state.ticks)


def _change(state: AdwinState, delta: float) -> LevelChange | None:
    """The cut whose two parts' means are furthest apart for their sizes, if that is too far for one level."""
    confidence = math.log(2 * math.log(state.width) / delta) if state.width > 1 else 0.0
    variance = max(state.squares, 0.0) / state.width
    found, furthest = None, 1.0
    for older, total in _cuts(state):
        newer = state.width - older
        if older < MIN_PART or newer < MIN_PART:
            continue
        before, after = total / older, (state.total - total) / newer
        sizes = 1 / (older - MIN_PART + 1) + 1 / (newer - MIN_PART + 1)
        allowed = math.sqrt(2 * sizes * variance * confidence) + 2 / 3 * confidence * sizes
        if abs(after - before) > allowed * furthest:
            found, furthest = LevelChange(before, after, older, newer), abs(after - before) / allowed
    return found


def _cuts(state: AdwinState) -> Iterator[tuple[int, float]]:
    """Size and sum of the older part of each cut."""
    older, total = 0, 0.0
    for at in range(len(state.rows) - 1, -1, -1):
        for bucket in state.rows[at]:
            older += 2**at
            total += bucket[0]
            yield older, total
