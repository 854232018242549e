"""Correlation of time series with p-values that respect autocorrelation and the number of tests. Pure functions.

Days in a row resemble each other, so n days are worth fewer than n independent ones. With the effective sample size of
Bartlett (1935, J. R. Stat. Soc. 98, 536-543) as recommended by Pyper and Peterman (1998, Can. J. Fish. Aquat. Sci. 55,
2127-2140, eq. 1, autocorrelations up to lag n/5, adjusted for bias),

    1 / n_effective = 1/n + 2/n * sum over j of (n - j)/n * r_xx(j) * r_yy(j),

r * sqrt((n_effective - 2) / (1 - r^2)) is close to Student's t with n_effective - 2 degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Correction = Literal["holm", "fdr_bh"]

_MIN_POINTS = 3
_LAG_SHARE = 5
_SAME = 1e-12
"""Relative spread below which values are taken to be the same: rounding."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's correlation of two series and how far it can be trusted."""

    r: float
    n: int
    """Points that both series have."""
    n_effective: float
    """Independent points that they are worth; between 2 and n."""
    p: float
    """Two-sided p-value with n_effective; 1 when n_effective is too small for a test."""


def correlate_pair(x: NDArray[np.float64], y: NDArray[np.float64]) -> Correlation | None:
    """Correlation of two series on the same regular grid, NaN where a value is missing.

    None when fewer than three points are shared or one of the series does not vary over them.
    """
    shared = np.isfinite(x) & np.isfinite(y)
    n = int(shared.sum())
    if n < _MIN_POINTS:
        return None
    x, y = _scaled(np.where(shared, x, np.nan)), _scaled(np.where(shared, y, np.nan))
    if not (_varies(x[shared]) and _varies(y[shared])):
        return None
    r = float(np.clip(np.corrcoef(x[shared], y[shared])[0, 1], -1.0, 1.0))
    n_effective = effective_sample_size(x, y)
    return Correlation(r, n, n_effective, _p_value(r, n_effective))


def effective_sample_size(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Independent points that the shared points of ``x`` and ``y`` are worth; NaN where either is missing.

    Between 2 and their number n: series that alternate are never worth more than n.
    """
    n = int(np.isfinite(x).sum())
    lags = np.arange(1, max(1, n // _LAG_SHARE) + 1)
    products = _autocorrelations(x, lags.size) * _autocorrelations(y, lags.size)
    inverse = 1.0 / n + 2.0 / n * float(((n - lags) / n * products).sum())
    return float(np.clip(1.0 / inverse, 2.0, n)) if inverse > 0 else float(n)


def adjust(p_values: Sequence[float], correction: Correction) -> NDArray[np.float64]:
    """p-values adjusted for their number.

    ``holm`` bounds the chance of any false finding, ``fdr_bh`` (Benjamini and Hochberg) the share of false ones among
    the findings.
    """
    if not p_values:
        return np.array([])
    from statsmodels.stats.multitest import multipletests

    adjusted: NDArray[np.float64] = multipletests(p_values, method=correction)[1]
    return adjusted


def lagged(series: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Series shifted so that position t holds what was at t - ``lag``; NaN where nothing was."""
    shifted = np.full(series.shape, np.nan)
    if lag == 0:
        shifted[:] = series
    elif abs(lag) < series.size:
        if lag > 0:
            shifted[lag:] = series[:-lag]
        else:
            shifted[:lag] = series[-lag:]
    return shifted


def differenced(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Change from each position to the next; NaN where either is missing, and at the first."""
    changes: NDArray[np.float64] = np.diff(series, prepend=np.nan)
    return changes


def _autocorrelations(series: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    from statsmodels.tsa.stattools import acf

    found: Any = acf(_trimmed(series), nlags=lags, adjusted=True, fft=False, missing="conservative")[1:]
    # A lag with too few pairs is left out.
    padded = np.zeros(lags)
    padded[: found.size] = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(padded, -1.0, 1.0)


def _trimmed(series: NDArray[np.float64]) -> NDArray[np.float64]:
    present = np.flatnonzero(np.isfinite(series))
    return series[present[0] : present[-1] + 1]


def _scaled(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Series between 0 and 1: correlation does not care, and squares of tiny or huge values stay in range."""
    largest = float(np.nanmax(np.abs(series)))
    if largest == 0.0:
        return series
    relative = series / largest
    relative -= np.nanmin(relative)
    spread = float(np.nanmax(relative))
    return relative / spread if spread > _SAME else np.where(np.isfinite(series), 0.0, np.nan)


def _varies(values: NDArray[np.float64]) -> bool:
    return float(np.ptp(values)) > 0.0


def _p_value(r: float, n_effective: float) -> float:
    from scipy import stats

    freedom = n_effective - 2.0
    if freedom <= 0.0:
        return 1.0
    if abs(r) >= 1.0:
        return 0.0
    return float(2.0 * stats.t.sf(abs(r) * math.sqrt(freedom / (1.0 - r * r)), freedom))
