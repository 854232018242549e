"""The KPI made ready: without season and trend, whitened, as normal scores, and the space that has been fitted to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from parallelm.warehouse.correlation.autocorrelation import Unbiased
from parallelm.warehouse.correlation.removal import (
    Terms,
    basis,
    candidates,
    explained_by_rounding,
    residuals,
    with_shifts,
)
from parallelm.warehouse.correlation.shifts import MOST, shift_in
from parallelm.warehouse.correlation.whitening import filtered, spread_of, whitening_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parallelm.warehouse.correlation.calendar import Calendar

Problem = Literal["too few values", "no variation"]

MIN_FREEDOM = 3
"""Independent values that must remain once everything is fitted."""
_BLOM = 0.375
"""Blom (1958): normal scores of ranks i of n are the quantiles (i - 3/8) / (n + 1/4)."""


@dataclass(frozen=True)
class Target:
    """One KPI on a grid of buckets."""

    rows: NDArray[np.int64]
    """Buckets in which it has a value."""
    terms: Terms
    shifts: tuple[int, ...]
    """Buckets with which a new level begins."""
    fitted: int
    """Dimensions of season and trend."""
    coefficient: float
    """Of AR(1), as estimated."""
    weights: NDArray[np.float64]
    """The filter that whitens it."""
    scale: NDArray[np.float64]
    """One over the spread of each whitened value."""
    noise: NDArray[np.float64]
    """What is new in each value, over its spread."""
    scores: NDArray[np.float64]
    """Normal scores of ``noise``, of length 1: what statistics are weighed against."""
    space: NDArray[np.float64]
    """What season and trend can explain of whitened values."""
    freedom: int
    """Independent values that remain once everything is fitted, without the statistic's own."""


def make_target(
    kpi: NDArray[np.float64], calendar: Calendar, *, season: bool = True, trend: bool = True
) -> Target | Problem:
    """A KPI with NaN where it has no value, or why nothing can be weighed against it."""
    rows = np.flatnonzero(np.isfinite(kpi))
    if rows.size <= MIN_FREEDOM:
        return "too few values"
    values = kpi[rows][None, :]
    chosen = _chosen_terms(values, rows, calendar, season=season, trend=trend)
    if chosen is None:
        return "too few values"
    terms, space, left = chosen
    coefficient = float(Unbiased(space)(left)[0])
    shifts: list[int] = []
    while trend and len(shifts) < MOST:
        place = shift_in(left[0], terms.columns[rows], coefficient)
        if place is None:
            break
        shifts.append(int(rows[place]))
        terms = with_shifts(terms, shifts[-1:])
        space = basis(terms.columns[rows])
        left = residuals(values, space)
        coefficient = float(Unbiased(space)(left)[0])
    weights = whitening_filter(left[0], coefficient, calendar.season_lags)
    skipped = weights.size - 1
    freedom = rows.size - skipped - space.shape[1] - int(np.count_nonzero(weights[1:])) - 1
    if freedom < MIN_FREEDOM:
        return "too few values"
    if explained_by_rounding(values, left)[0]:
        return "no variation"
    columns = filtered(terms.columns[rows].T, weights).T
    noise = _outside(filtered(left, weights)[0], basis(columns))
    scale = 1.0 / spread_of(noise, calendar, rows[skipped:])
    whitened_space = basis(columns * scale[:, None])
    noise = _outside(noise * scale, whitened_space)
    scores = _outside(_normal_scores(noise), whitened_space)
    return Target(
        rows=rows,
        terms=terms,
        shifts=tuple(sorted(shifts)),
        fitted=space.shape[1],
        coefficient=coefficient,
        weights=weights,
        scale=scale,
        noise=noise,
        scores=scores / np.linalg.norm(scores),
        space=whitened_space,
        freedom=freedom,
    )


def _chosen_terms(
    values: NDArray[np.float64], rows: NDArray[np.int64], calendar: Calendar, *, season: bool, trend: bool
) -> tuple[Terms, NDArray[np.float64], NDArray[np.float64]] | None:
    """The terms that Akaike's information criterion asks for, their space over ``rows``, and what they leave."""
    best = np.inf
    chosen = None
    for terms in candidates(calendar, season=season, trend=trend):
        space = basis(terms.columns[rows])
        if chosen is not None and 2 * space.shape[1] > rows.size:
            continue
        left = residuals(values, space)
        score = rows.size * float(np.log(np.mean(left**2) + 1e-300)) + 2.0 * space.shape[1]
        if score < best:
            best, chosen = score, (terms, space, left)
    return chosen


def _outside(values: NDArray[np.float64], space: NDArray[np.float64]) -> NDArray[np.float64]:
    rest: NDArray[np.float64] = values - space @ (space.T @ values)
    return rest


def _normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtri

    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    # Equal values share the mean of their ranks.
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    scores: NDArray[np.float64] = ndtri((ranks - _BLOM) / (values.size + 1 - 2 * _BLOM))
    return scores
