"""Many statistics weighed against one KPI at every lag: correlation, p-value, size of the effect and its interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from parallelm.warehouse.correlation.autocorrelation import Unbiased, effective_share
from parallelm.warehouse.correlation.calendar import local_date
from parallelm.warehouse.correlation.removal import (
    Terms,
    basis,
    candidates,
    explained_by_rounding,
    residuals,
    with_shifts,
)
from parallelm.warehouse.correlation.target import MIN_FREEDOM, Target, make_target
from parallelm.warehouse.correlation.whitening import filtered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from parallelm.warehouse.correlation.calendar import Calendar
    from parallelm.warehouse.correlation.target import Problem

Correction = Literal["holm", "fdr_bh"]

ENOUGH = 10.0
"""Fewer effective points are too few to tell anything."""
CAUTION = 1.2
"""p-values are larger than Student's by this factor, for season, trend and filter had to be estimated."""
_CHUNK_VALUES = 1_000_000
_NEIGHBOURS = 10
_LITTLE_SKEWNESS = 0.01


@dataclass(frozen=True)
class Weights:
    """Arrays of statistics by lags."""

    r: NDArray[np.float64]
    """Correlation of what remains; NaN where a statistic does not vary."""
    p: NDArray[np.float64]
    """Two-sided p-value of each; NaN where nothing can be told."""
    n: NDArray[np.int64]
    """Buckets in which both have a value."""
    n_effective: NDArray[np.float64]
    """Independent points that they are worth."""
    effect: NDArray[np.float64]
    """What a rise of the statistic by ``deviation`` goes with, in units of the KPI."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """95 % interval of ``effect``."""


@dataclass(frozen=True)
class Weighed:
    """The result, and what was removed on the way."""

    weights: Weights
    deviation: NDArray[np.float64]
    """Standard deviation of each statistic once season and trend are removed."""
    removed: tuple[str, ...]
    shifts: tuple[str, ...]
    """Times by the local clock at which the KPI's level shifts; these are removed, too."""
    kpi_points: int
    problem: Problem | None
    """Of the KPI itself: why nothing can be weighed against it."""


def weigh(
    kpi: NDArray[np.float64],
    statistics: NDArray[np.float64],
    calendar: Calendar,
    *,
    season: bool = True,
    trend: bool = True,
) -> Weighed:
    """Weigh every row of ``statistics`` against ``kpi``, which has a value for each of the calendar's buckets, or NaN.

    Rows begin ``max_lag`` buckets before the KPI, and end with it: the number of lags follows from their length.
    """
    lags = statistics.shape[1] - kpi.size + 1
    # Squares of tiny and huge values stay in range.
    unit = float(_sizes(kpi[None, :])[0])
    calendar = replace(calendar, points=int(np.isfinite(kpi).sum()))
    target = make_target(kpi / unit, calendar, season=season, trend=trend)
    if not isinstance(target, Target):
        return _nothing(statistics, lags, kpi, target)
    earlier = calendar.from_bucket(1 - lags)
    # The KPI's terms over the longer grid of the statistics.
    grows = target.terms.season_grows
    terms = _terms_like(target, earlier, season=season, trend=trend, grows=grows)
    terms = with_shifts(terms, [bucket + lags - 1 for bucket in target.shifts])
    weigher = _Weigher(target, basis(terms.columns), lags, unit)
    chunk = max(1, _CHUNK_VALUES // statistics.shape[1])
    parts = [weigher.weigh(statistics[start : start + chunk]) for start in range(0, len(statistics), chunk)]
    if not parts:
        return _nothing(statistics, lags, kpi, None)
    joined = [np.concatenate(arrays) for arrays in zip(*(part[:-1] for part in parts), strict=True)]
    removed = [*(calendar.season_words() if season else ()), *([calendar.trend_words] if trend else ())]
    if grows:
        removed.append("growth of the season")
    shifts = tuple(local_date(calendar.starts_ms[bucket]) for bucket in target.shifts)
    removed += [f"a shift of the KPI's level at {time}" for time in shifts]
    deviation = np.concatenate([part[-1] for part in parts])
    return Weighed(Weights(*joined), deviation, tuple(removed), shifts, target.rows.size, None)


def adjust(p: NDArray[np.float64], correction: Correction) -> NDArray[np.float64]:
    """p-values adjusted for their number; NaN stay and do not count.

    ``holm`` (1979, Scand. J. Stat. 6, 65-70) bounds the chance of any false finding, ``fdr_bh`` (Benjamini and Hochberg,
    1995, J. R. Stat. Soc. B 57, 289-300) the share of false ones among the findings.
    """
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p.ravel()[tested])]
    rank, count = np.arange(order.size), order.size
    ordered = p.ravel()[order]
    # As in statsmodels' multipletests, whose import takes longer than all tests of 4,000 series.
    if correction == "holm":
        stepped = np.maximum.accumulate(ordered * (count - rank))
    else:
        stepped = np.minimum.accumulate((ordered * count / (rank + 1))[::-1])[::-1]
    adjusted = np.full(p.shape, np.nan)
    np.put(adjusted, order, np.minimum(stepped, 1.0))
    return adjusted


class _Weigher:
    """Statistics against one KPI."""

    def __init__(self, target: Target, space: NDArray[np.float64], lags: int, unit: float) -> None:
        self._target = target
        self._space = space
        self._lags = lags
        self._unit = unit
        self._unbiased = Unbiased(space)
        self._whole = target.rows.size == space.shape[0] - lags + 1
        self._similarity = _neighbour_products(target.scores[None, :])[0]

    def weigh(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """r, p, n, n_effective, effect, low and high of some statistics, and their deviations."""
        units = _sizes(values)
        values = values / units[:, None]
        left = residuals(values, self._space)
        left[explained_by_rounding(values, left)] = np.nan
        present = np.isfinite(left)
        share = effective_share(self._unbiased(left), self._target.coefficient)
        left = np.where(present, left, 0.0)
        counts = np.maximum(present.sum(axis=1), 1)
        deviation = np.sqrt((left * left).sum(axis=1) / counts)
        shape = len(values), self._lags
        r, p, n, effect, error = (np.full(shape, np.nan) for _ in range(5))
        n_effective = np.zeros(shape)
        quantile = np.zeros(len(values))
        for lag, whitened in self._lagged(left):
            seen = self._target.rows + self._lags - 1 - lag
            n[:, lag] = present[:, seen].sum(axis=1)
            n_effective[:, lag] = np.maximum(n[:, lag] - self._target.fitted, 0.0) * share
            size = np.sqrt(self._size_outside(whitened))
            with np.errstate(all="ignore"):
                r[:, lag] = np.where(
                    size > 0.0, np.clip(whitened @ self._target.scores / size, -1.0, 1.0), np.nan
                )
                freedom = self._freedom(whitened, n[:, lag])
                p[:, lag], quantile = _p_value(r[:, lag], freedom)
                p[:, lag] = self._with_skewness(p[:, lag], whitened)
                slope = whitened @ self._target.noise / size**2
                rest = np.maximum((self._target.noise**2).sum() - slope**2 * size**2, 0.0) / freedom
                effect[:, lag] = slope * deviation
                error[:, lag] = quantile * np.sqrt(rest) / size * deviation
        p[n_effective < ENOUGH] = np.nan
        effect, error = effect * self._unit, error * self._unit
        low, high = effect - error, effect + error
        return r, p, n.astype(np.int64), n_effective, effect, low, high, deviation * units

    def _lagged(self, left: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """For each lag, the statistics as they were so many buckets before the KPI's values, whitened and scaled."""
        weights, scale = self._target.weights, self._target.scale
        whole = filtered(left, weights) if self._whole else None
        for lag in range(self._lags):
            start = self._lags - 1 - lag
            if whole is not None:
                yield lag, whole[:, start : start + scale.size] * scale
            else:
                yield lag, filtered(left[:, self._target.rows + start], weights) * scale

    def _size_outside(self, whitened: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared length of what season and trend cannot explain."""
        whole = np.einsum("sn,sn->s", whitened, whitened)
        inside = whitened @ self._target.space
        rest = whole - np.einsum("sp,sp->s", inside, inside)
        return np.where(rest > 1e-9 * whole, rest, 0.0)

    def _with_skewness(self, p: NDArray[np.float64], whitened: NDArray[np.float64]) -> NDArray[np.float64]:
        """Larger p-values where KPI and statistic are both skewed, as rare counts are: chance correlates them more often then.

        The skewness of a correlation over all orders of the values is known, and Pearson's type III (a gamma distribution) has
        the tails that go with it (Mielke and Berry, 2007, Permutation Methods, 2nd edition). Student's p-values grow by as much
        as these are heavier than the tails of the normal distribution.
        """
        from scipy.special import gammainc, gammaincc, ndtri

        count = whitened.shape[1]
        sizes = np.sqrt(np.einsum("sn,sn->s", whitened, whitened))
        cubes = np.einsum("sn,sn,sn->s", whitened, whitened, whitened) / sizes**3
        skewness = cubes * float((self._target.scores**3).sum()) * count * np.sqrt(count - 1) / (count - 2)
        shape = 4.0 / np.maximum(np.abs(skewness), _LITTLE_SKEWNESS) ** 2
        z = -ndtri(p / 2.0)
        heavy, light = shape + z * np.sqrt(shape), np.maximum(shape - z * np.sqrt(shape), 0.0)
        tails = gammaincc(shape, heavy) + gammainc(shape, light)
        # A p-value that underflows is nothing's chance.
        return np.where(p > 0.0, np.clip(tails, p, 1.0), p)

    def _freedom(self, whitened: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees of freedom: fewer where both still resemble their neighbours."""
        products = _neighbour_products(whitened) @ self._similarity
        lost = self._target.rows.size - n
        free = np.maximum(self._target.freedom - lost, MIN_FREEDOM)
        worth: NDArray[np.float64] = free / np.maximum(1.0 + 2.0 * products, 1.0)
        return np.maximum(worth, 1.0)


def _sizes(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest size of each row, 1 where there is none."""
    largest = np.max(np.abs(np.nan_to_num(rows, nan=0.0)), axis=1, initial=0.0)
    return np.where(largest > 0.0, largest, 1.0)


def _neighbour_products(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Autocorrelations at the first lags, weighed by how many pairs there are."""
    count = values.shape[1]
    lags = range(1, min(_NEIGHBOURS, count // 5) + 1)
    squares = np.maximum(np.einsum("sn,sn->s", values, values), 1e-300)
    found = np.empty((len(values), len(lags)))
    for column, lag in enumerate(lags):
        sums = np.einsum("sn,sn->s", values[:, lag:], values[:, :-lag])
        # Both sides carry the root of the weight.
        found[:, column] = sums / squares * np.sqrt(1.0 - lag / count)
    return found


def _p_value(
    r: NDArray[np.float64], freedom: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two-sided p-value of each correlation, and the half width of its 95 % interval in standard errors.

    Both by Student's t with ``CAUTION``.
    """
    from scipy.special import stdtr, stdtrit

    t = np.abs(r) * np.sqrt(freedom / np.maximum(1.0 - r * r, 1e-300))
    p: NDArray[np.float64] = np.minimum(2.0 * CAUTION * stdtr(freedom, -t), 1.0)
    quantile: NDArray[np.float64] = stdtrit(freedom, 1.0 - 0.025 / CAUTION)
    return p, quantile


def _terms_like(target: Target, calendar: Calendar, *, season: bool, trend: bool, grows: bool) -> Terms:
    found = list(candidates(calendar, season=season, trend=trend))
    alike = [terms for terms in found if terms.season_grows == grows]
    wanted = target.terms.columns.shape[1] - len(target.shifts)
    return min(alike or found, key=lambda terms: abs(terms.columns.shape[1] - wanted))


def _nothing(
    statistics: NDArray[np.float64], lags: int, kpi: NDArray[np.float64], problem: Problem | None
) -> Weighed:
    shape = len(statistics), lags
    unknown = np.full(shape, np.nan)
    weights = Weights(
        unknown, unknown, np.zeros(shape, dtype=np.int64), np.zeros(shape), unknown, unknown, unknown
    )
    points = int(np.isfinite(kpi).sum())
    return Weighed(weights, np.full(len(statistics), np.nan), (), (), points, problem)
