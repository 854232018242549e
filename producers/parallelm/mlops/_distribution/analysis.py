"""The entries of one feature in the analysis tables and the heat map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from parallelm.mlops._distribution.columns import Column
    from parallelm.mlops._distribution.histograms import Numbers

CONTINUOUS_COLUMNS: Final = (
    "Count",
    "Missing",
    "Zeros",
    "Standard Deviation",
    "Min",
    "Mean",
    "Median",
    "Max",
)
CATEGORICAL_COLUMNS: Final = (
    "Count",
    "Missing",
    "Uniques",
    "Top Frequently Occurring Category",
    "Top Frequency",
    "Average String Length",
)
_NAN: Final = float("nan")


def continuous_row(column: Column, numbers: Numbers) -> list[object]:
    """One row under ``CONTINUOUS_COLUMNS``. Count includes missing values; the deviation is the sample's, as in pandas."""
    import numpy as np

    values = numbers.values
    if not values.size:
        return [column.size, _missing(column, 0), 0, _NAN, _NAN, _NAN, _NAN, _NAN]
    mean, spread = numbers.moments
    deviation = spread * math.sqrt(values.size / (values.size - 1)) if values.size > 1 else _NAN
    low, high = numbers.bounds
    if numbers.finite.size < values.size:
        with np.errstate(invalid="ignore"):
            mean, deviation = float(values.mean()), _NAN
        low, high = float(values.min()), float(values.max())
    return [
        column.size,
        _missing(column, values.size),
        int(values.size - np.count_nonzero(values)),
        deviation,
        low,
        mean,
        _median(values),
        high,
    ]


def _median(values: NDArray[np.float64]) -> float:
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.median(values))


def categorical_row(column: Column, counts: Mapping[str, int]) -> list[object]:
    """One row under ``CATEGORICAL_COLUMNS``. Count includes all rows; lengths are in characters, weighted by frequency."""
    total = sum(counts.values())
    top = max(counts, key=counts.__getitem__, default="N/A")
    length = sum(len(text) * times for text, times in counts.items()) / total if total else 0.0
    return [column.size, _missing(column, total), len(counts), top, counts.get(top, 0), length]


def _missing(column: Column, present: int) -> str:
    return f"{round(100 * (column.size - present) / column.size, 2) if column.size else 0.0}%"


def heat(numbers: Numbers) -> float | None:
    """Mean of the values after min-max scaling to 0..1; for a constant feature 1, or 0 if the constant is 0."""
    if not numbers.finite.size:
        return None
    low, high = numbers.bounds
    if low == high:
        return 1.0 if low else 0.0
    # Halved first, so that the distance of the largest floats does not overflow.
    return min(1.0, max(0.0, (numbers.moments[0] / 2 - low / 2) / (high / 2 - low / 2)))
