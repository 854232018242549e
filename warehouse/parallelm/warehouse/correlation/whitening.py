"""A filter that turns the KPI into independent values of equal spread, and takes every statistic the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parallelm.warehouse.correlation.calendar import indicators
from parallelm.warehouse.correlation.removal import basis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from parallelm.warehouse.correlation.calendar import Calendar

_SMALLEST_SPREAD = 0.2
"""Of the mean spread: no bucket weighs more than five times the others."""
_MIN_POINTS_A_LAG = 4


def whitening_filter(
    left: NDArray[np.float64], coefficient: float, season_lags: Sequence[int]
) -> NDArray[np.float64]:
    """Weights of a value and those before it that leave only what is new in it.

    AR(1) with the given ``coefficient`` first, then the lags 1 to 3 and those of the season that the Bayesian information
    criterion asks for.
    """
    first = np.array([1.0, -coefficient])
    once = filtered(left, first)
    choices = [(1,), (1, 2), (1, 2, 3), *((lag,) for lag in season_lags), *((1, lag) for lag in season_lags)]
    choices = [lags for lags in choices if once.size >= max(lags) + _MIN_POINTS_A_LAG * (len(lags) + 1)]
    if not choices:
        return first
    longest = max(lags[-1] for lags in choices)
    target = once[longest:]
    best, best_filter = _criterion(target, 0), first
    for lags in choices:
        before = np.stack([once[longest - lag : once.size - lag] for lag in lags], axis=1)
        weights = np.linalg.lstsq(before, target, rcond=None)[0]
        score = _criterion(target - before @ weights, len(lags))
        if score < best:
            second = np.zeros(lags[-1] + 1)
            second[0] = 1.0
            second[list(lags)] = -weights
            best, best_filter = score, np.convolve(first, second)
    return best_filter


def filtered(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values along the last axis after a filter, without those that have too few before them."""
    lags = np.flatnonzero(weights)
    skipped = weights.size - 1
    length = values.shape[-1] - skipped
    result: NDArray[np.float64] = values[..., skipped:] * weights[0]
    for lag in lags[1:]:
        result = result + weights[lag] * values[..., skipped - lag : skipped - lag + length]
    return result


def spread_of(noise: NDArray[np.float64], calendar: Calendar, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spread of each value of ``noise``, which stands in the calendar's buckets ``rows``.

    It may change along the way and with the day of week or the hour, if Akaike's criterion asks for that: series that both
    grow, or are both quiet on Sundays, agree by chance more often than others.
    """
    sizes = np.abs(noise)
    one, line = np.ones(rows.size), np.linspace(-1.0, 1.0, rows.size)
    factors = [
        *([calendar.slots] if calendar.has_hours else []),
        *([calendar.weekdays] if calendar.has_weekdays else []),
    ]
    season = [column[rows] for factor in factors for column in indicators(factor)]
    best = np.inf
    chosen = np.full(rows.size, sizes.mean())
    for columns in ([one], [one, line], *([[one, *season], [one, line, *season]] if season else [])):
        space = basis(np.stack(columns, axis=1))
        if space.shape[1] * 2 > rows.size:
            continue
        fit = space @ (space.T @ sizes)
        score = rows.size * float(np.log(np.mean((sizes - fit) ** 2) + 1e-300)) + 2.0 * space.shape[1]
        if score < best:
            best, chosen = score, fit
    spread: NDArray[np.float64] = np.maximum(chosen, _SMALLEST_SPREAD * sizes.mean())
    return spread


def _criterion(errors: NDArray[np.float64], parameters: int) -> float:
    return float(errors.size * np.log(np.mean(errors**2) + 1e-300) + parameters * np.log(errors.size))
