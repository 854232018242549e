"""Before and after a change: an interrupted time series whose noise is autocorrelated. Pure functions.

The model is the regression of segmented time series (Wagner et al., 2002, J. Clin. Pharm. Ther. 27, 299-309): a level, a line, the
season of the calendar, and a step at the change, with AR(1) noise, by generalized least squares (``statsmodels`` GLS). The
coefficient of the noise is corrected for the bias of the fit (``correlation.autocorrelation``); Student's t has the degrees of
freedom that autocorrelated values are worth. Movements slower than the line count as noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from parallelm.warehouse.correlation.autocorrelation import HIGHEST, Unbiased
from parallelm.warehouse.correlation.removal import basis, candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from parallelm.warehouse.correlation.calendar import Calendar

MODEL = "interrupted time series: level, line, season and a step, AR(1) noise, generalized least squares"
MIN_BEFORE, MIN_AFTER = 14, 3
"""Buckets with a value that are needed on each side."""
_MIN_FREEDOM = 3.0


@dataclass(frozen=True, slots=True)
class Change:
    """What changed at a moment, beyond season and trend."""

    effect: float
    """Step of the KPI, in its own unit."""
    low: float
    high: float
    """95 % interval of ``effect``."""
    expected: float
    """Mean of the KPI after the change as season and trend alone would have it."""
    naive: float
    """Mean after minus mean before: season and trend are in it."""
    before_mean: float
    after_mean: float
    before: int
    after: int
    """Buckets with a value."""
    autocorrelation: float
    removed: tuple[str, ...]


def estimate(kpi: NDArray[np.float64], after: NDArray[np.bool_], calendar: Calendar) -> Change | None:
    """The step between the buckets that are not ``after`` and those that are; NaN where the KPI has no value.

    None when one of the sides is too short to tell.
    """
    rows = np.flatnonzero(np.isfinite(kpi))
    values, is_after = kpi[rows], after[rows].astype(np.float64)
    counts = int(rows.size - is_after.sum()), int(is_after.sum())
    if counts[0] < MIN_BEFORE or counts[1] < MIN_AFTER:
        return None
    scale = float(np.abs(values).max()) or 1.0
    terms = min(
        candidates(calendar, season=True, trend=True, waves=False, growth=False),
        key=lambda each: _criterion(_design(each.columns[rows], is_after), values / scale),
    )
    design = _design(terms.columns[rows], is_after)
    freedom = rows.size - design.shape[1]
    if freedom < _MIN_FREEDOM or basis(design).shape[1] < design.shape[1]:
        return None
    step, error, fitted, coefficient = _fit(values / scale, design, rows)
    worth = max(_MIN_FREEDOM, freedom * (1.0 - coefficient) / (1.0 + coefficient))
    half = _quantile(worth) * error
    inside = is_after > 0
    expected = float((fitted - step * is_after)[inside].mean())
    return Change(
        effect=step * scale,
        low=(step - half) * scale,
        high=(step + half) * scale,
        expected=expected * scale,
        naive=float(values[inside].mean() - values[~inside].mean()),
        before_mean=float(values[~inside].mean()),
        after_mean=float(values[inside].mean()),
        before=counts[0],
        after=counts[1],
        autocorrelation=coefficient,
        removed=(*calendar.season_words(), "linear trend"),
    )


def _design(columns: NDArray[np.float64], is_after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Independent columns, the step last."""
    return np.column_stack([basis(columns), is_after])


def _criterion(design: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Akaike's."""
    space = basis(design)
    left = values - space @ (space.T @ values)
    return float(values.size * np.log(np.mean(left**2) + 1e-300) + 2.0 * space.shape[1])


def _fit(
    values: NDArray[np.float64], design: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[float, float, NDArray[np.float64], float]:
    """Step, its standard error, fitted values, and the coefficient of the noise."""
    from statsmodels.regression.linear_model import GLS

    space = basis(design)
    left = values - space @ (space.T @ values)
    coefficient = float(np.clip(Unbiased(space)(left[None])[0], 0.0, HIGHEST))
    covariance = coefficient ** np.abs(np.subtract.outer(rows, rows))
    found = GLS(values, design, sigma=covariance).fit()
    return float(found.params[-1]), float(found.bse[-1]), np.asarray(found.fittedvalues), coefficient


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
