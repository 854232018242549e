"""Shifts of a KPI's level: a new price, a new shop, a new way to count. Each is one event, however many days it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parallelm.warehouse.correlation.autocorrelation import Unbiased
from parallelm.warehouse.correlation.removal import basis
from parallelm.warehouse.correlation.whitening import filtered

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 4
_SURE = 5.5
"""Standard errors of a step that count as a shift: chance alone reaches about 4 among all days of some years."""
_AWAY = 5
"""Values that a step needs on either side."""
_PLACES = 750
_CELLS = 10_000_000
"""Where there are more values, or more places times values, not every one is tried."""
_RIDGE = 1e-9


def shift_in(values: NDArray[np.float64], columns: NDArray[np.float64], coefficient: float) -> int | None:
    """Number of the value at which a new level begins, which season and trend (``columns``) and AR(1) noise do not explain.

    The surest one, by generalized least squares; None where no step is sure.
    """
    count = values.size
    if count < columns.shape[1] + 4 * _AWAY:
        return None
    places = np.unique(np.linspace(_AWAY, count - _AWAY, min(_PLACES, _CELLS // count)).astype(np.int64))
    steps = (np.arange(count) >= places[:, None]).astype(np.float64)
    best, _ = _surest(values, columns, steps, coefficient)
    # A step that is not in the fit passes for noise that resembles its neighbours, and hides behind it.
    space = basis(np.column_stack([columns, steps[best]]))
    coefficient = float(Unbiased(space)((values - space @ (space.T @ values))[None, :])[0])
    best, errors = _surest(values, columns, steps, coefficient)
    return int(places[best]) if errors > _SURE else None


def _surest(
    values: NDArray[np.float64],
    columns: NDArray[np.float64],
    steps: NDArray[np.float64],
    coefficient: float,
) -> tuple[int, float]:
    """Which step explains most beside ``columns`` in AR(1) noise, and how many standard errors it has."""
    first = np.array([1.0, -coefficient])
    steps = filtered(steps, first)
    space = basis(filtered(columns.T, first).T)
    target = filtered(values, first)
    left = target - space @ (space.T @ target)
    steps -= (steps @ space) @ space.T
    squares = np.maximum(np.einsum("sn,sn->s", steps, steps), _RIDGE)
    explained = (steps @ left) ** 2 / squares
    best = int(explained.argmax())
    rest = (left @ left - explained[best]) / (left.size - space.shape[1] - 1)
    return best, float(np.sqrt(explained[best] / max(rest, _RIDGE * explained[best], 1e-300)))
