"""Season and trend: fitted to each series by least squares, robustly, and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from parallelm.warehouse.correlation.calendar import indicators

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from parallelm.warehouse.correlation.calendar import Calendar

CLIP = 5.0
"""Residuals count for so many robust standard deviations at most: one wild value must not bend a season."""
_ROUNDS = 60
"""At most: a value a billion times too large bends the first fits, and each round takes about half of that away."""
_CLOSE = 1.01
_ROUNDING = 1e-12
_WILD = 20
_MAD_TO_DEVIATION = 1.4826
_RIDGE = 1e-9
_FEW_PATTERNS = 16
"""Up to so many patterns of missing values are fitted one by one; most series lack the same buckets."""


class Terms(NamedTuple):
    """What is taken away: columns over a grid."""

    columns: NDArray[np.float64]
    season_grows: bool


def candidates(
    calendar: Calendar, *, season: bool, trend: bool, waves: bool = True, growth: bool = True
) -> Iterable[Terms]:
    """Terms that the calendar allows, the plain ones first.

    The trend is a line and, with ``waves``, slow movements; the season may grow along the line with ``growth``.
    """
    line = np.linspace(-1.0, 1.0, calendar.count) if calendar.count > 1 else np.zeros(1)
    base = [np.ones(calendar.count)]
    if trend:
        base += [line, *(_slow_waves(calendar) if waves else ())]
    plain = _season(calendar) if season else []
    yield _terms(base + plain, grows=False)
    if not plain:
        return
    if calendar.has_hours and calendar.has_weekdays:
        plain = plain + indicators(calendar.weekend_slots)
        yield _terms(base + plain, grows=False)
    if trend and growth and calendar.grows:
        yield _terms(base + plain + [column * line for column in plain], grows=True)


def with_shifts(terms: Terms, buckets: Iterable[int]) -> Terms:
    """The terms, and a step in each of these buckets."""
    number = np.arange(len(terms.columns))
    steps = [(number >= bucket).astype(np.float64) for bucket in buckets]
    return Terms(np.column_stack([terms.columns, *steps]), terms.season_grows)


def basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal columns that span the same space."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    kept: NDArray[np.float64] = left[:, sizes > _RIDGE * max(sizes[0], _RIDGE)]
    return kept


def residuals(values: NDArray[np.float64], space: NDArray[np.float64]) -> NDArray[np.float64]:
    """What ``space`` (orthonormal, n by p) does not explain of ``values`` (rows of n); NaN stays NaN.

    Residuals beyond ``CLIP`` robust deviations are clipped, and the fit is repeated on what is left.
    """
    present = np.isfinite(values)
    if present.all():
        return _residuals(values, present, space, None)
    patterns, row_patterns = np.unique(np.packbits(present, axis=1), axis=0, return_inverse=True)
    if len(patterns) > _FEW_PATTERNS:
        return _residuals(values, present, space, _inverses(present, space))
    left = np.full(values.shape, np.nan)
    for number in range(len(patterns)):
        rows = np.flatnonzero(row_patterns.reshape(-1) == number)
        columns = np.flatnonzero(present[rows[0]])
        if columns.size:
            part = values[np.ix_(rows, columns)]
            everywhere = np.ones(part.shape, dtype=bool)
            left[np.ix_(rows, columns)] = _residuals(part, everywhere, basis(space[columns]), None)
    return left


def _residuals(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    space: NDArray[np.float64],
    inverse: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    left = np.where(present, values, 0.0)
    for _ in range(_ROUNDS):
        left = np.where(present, left - _fit(left, space, inverse), 0.0)
        limit = _limit(left, present)
        # At least half of the values are fitted exactly: nothing shows what is wild.
        limit[limit <= _RIDGE * np.abs(left).max(axis=-1)] = np.inf
        if (np.abs(left) <= _CLOSE * limit[:, None]).all():
            break
        left = np.clip(left, -limit[:, None], limit[:, None])
    return np.where(present, left, np.nan)


def explained_by_rounding(values: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows of which season and trend leave nothing but rounding."""
    with np.errstate(all="ignore"):
        size = np.nanmax(np.abs(values), axis=-1, initial=0.0)
        rest = np.nanmax(np.abs(left), axis=-1, initial=0.0)
        varies: NDArray[np.bool_] = rest > _ROUNDING * size
    return ~varies


def _fit(
    values: NDArray[np.float64], space: NDArray[np.float64], inverse: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    weights = values @ space
    if inverse is not None:
        weights = np.einsum("spq,sq->sp", inverse, weights)
    fitted: NDArray[np.float64] = weights @ space.T
    return fitted


def _inverses(present: NDArray[np.bool_], space: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row the inverse of the normal equations over its present values."""
    mask = present.astype(np.float64)
    size = space.shape[1]
    normal = np.empty((mask.shape[0], size, size))
    for column in range(size):
        normal[:, column] = (mask * space[:, column]) @ space
    normal[:, range(size), range(size)] += _RIDGE
    return np.asarray(np.linalg.inv(normal), dtype=np.float64)


def _limit(left: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Size beyond which a residual is wild: ``CLIP`` robust deviations, and no more than one of twenty is."""
    counts = np.maximum(present.sum(axis=-1), 1)
    middle, high = (counts - 1) // 2, counts - 1 - counts // _WILD
    sizes = np.where(present, np.abs(left), np.inf)
    places = np.unique(np.concatenate([middle, counts // 2, high]))
    ordered = (
        np.partition(sizes, places, axis=-1) if places.size <= _FEW_PATTERNS else np.sort(sizes, axis=-1)
    )
    rows = np.arange(len(left))
    median = (ordered[rows, middle] + ordered[rows, counts // 2]) / 2.0
    return np.where(
        present.any(axis=-1), np.maximum(CLIP * _MAD_TO_DEVIATION * median, ordered[rows, high]), 0.0
    )


def _slow_waves(calendar: Calendar) -> list[NDArray[np.float64]]:
    place = (np.arange(calendar.count) + 0.5) / calendar.count
    return [np.cos(np.pi * wave * place) for wave in range(2, calendar.slow_terms + 2)]


def _season(calendar: Calendar) -> list[NDArray[np.float64]]:
    columns: list[NDArray[np.float64]] = []
    if calendar.has_hours:
        columns += indicators(calendar.slots)
    if calendar.has_weekdays:
        columns += indicators(calendar.weekdays)
    if calendar.has_year:
        columns += indicators(calendar.months)
    if calendar.holiday_share.any():
        columns.append(calendar.holiday_share)
    return columns


def _terms(columns: list[NDArray[np.float64]], *, grows: bool) -> Terms:
    return Terms(np.stack(columns, axis=1), grows)
