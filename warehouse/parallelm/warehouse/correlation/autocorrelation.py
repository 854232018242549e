"""How much a value resembles the one before it, corrected for the bias that removing season and trend causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST, HIGHEST = -0.9, 0.98
_NEGLIGIBLE = 1e-18
_COEFFICIENTS = np.concatenate([np.linspace(-0.9, 0.9, 25), [0.93, 0.95, 0.97, 0.98, 0.99, 0.995]])


class Unbiased:
    """Estimates the coefficient of AR(1) noise from residuals of a fit.

    A fit follows the noise: residuals of AR(0.9) noise after a line and a weekly season look like AR(0.75) at 60 points.
    The expected estimate is known for each coefficient, from the covariance of residuals (the ratio of expectations, and
    the bias of that ratio after Marriott and Pope, 1954, Biometrika 41, 390-402); it is inverted here.
    """

    def __init__(self, space: NDArray[np.float64]) -> None:
        self._expected = np.maximum.accumulate([_expected(space, each) for each in _COEFFICIENTS])

    def __call__(self, left: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coefficient of each row of residuals, NaN where a value is missing; within ``LOWEST`` and ``HIGHEST``."""
        present = np.isfinite(left)
        filled = np.where(present, left, 0.0)
        pairs = np.maximum((present[..., 1:] & present[..., :-1]).sum(axis=-1), 1)
        products = (filled[..., 1:] * filled[..., :-1]).sum(axis=-1) / pairs
        squares = (filled * filled).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.nan_to_num(products / squares) * (1.0 - 1.0 / filled.shape[-1])
        known: NDArray[np.float64] = np.interp(found, self._expected, _COEFFICIENTS)
        return np.clip(known, LOWEST, HIGHEST)


def effective_share(x: NDArray[np.float64], y: float) -> NDArray[np.float64]:
    """Share of the points that count as independent in the correlation of AR(1) series, 1 at most.

    Bartlett (1935, J. R. Stat. Soc. 98, 536-543): (1 - xy) / (1 + xy).
    """
    product = np.maximum(x * y, 0.0)
    return (1.0 - product) / (1.0 + product)


def decayed(columns: NDArray[np.float64], coefficient: float) -> NDArray[np.float64]:
    """Product with the covariance of AR(1) noise of unit variance, whose entries are ``coefficient ** |i - j|``."""
    forward = _recursive(columns, coefficient)
    backward = _recursive(columns[::-1], coefficient)[::-1]
    product: NDArray[np.float64] = forward + backward - columns
    return product


def _recursive(columns: NDArray[np.float64], coefficient: float) -> NDArray[np.float64]:
    """Each value plus ``coefficient`` times the result before it.

    By doubling: 1 / (1 - cB) is (1 + cB)(1 + c²B²)(1 + c⁴B⁴)…, where B shifts by one.
    """
    result, step = columns.copy(), 1
    while step < len(columns) and abs(coefficient) > _NEGLIGIBLE:
        result[step:] += coefficient * result[:-step]
        coefficient *= coefficient
        step *= 2
    return result


def _expected(space: NDArray[np.float64], coefficient: float) -> float:
    """Expected lag-1 autocorrelation of residuals of AR(1) noise after a projection."""
    n = space.shape[0]
    covered = decayed(space, coefficient)
    back = space @ (space.T @ covered)
    variance = n - float((space * covered).sum())
    neighbours = coefficient * (n - 1)
    neighbours += float((back[1:] * space[:-1]).sum())
    neighbours -= float((space[1:] * covered[:-1]).sum() + (covered[1:] * space[:-1]).sum())
    ratio = neighbours / max(variance, 1e-9)
    return float(ratio - 2.0 * ratio / n)
