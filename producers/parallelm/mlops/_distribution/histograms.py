"""The histogram of one feature: over its own bins, or over those of its training."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Final

from parallelm.schemas.records import Histogram, HistogramKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

INNER_BINS: Final = 11
LEAST_SPREAD: Final = 0.05
"""Standard deviation assumed for the bins of a constant feature."""
_DEVIATIONS: Final = 2
_FARTHEST_EDGE: Final = 8e307
"""Bound of the edges, so that their distance does not overflow."""
_LARGE: Final = 1e150


class Numbers:
    """Present values of a continuous feature, and what several statistics share. Moments ignore infinities."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    @cached_property
    def finite(self) -> NDArray[np.float64]:
        """The finite values; the same array if all are finite."""
        import numpy as np

        finite = np.isfinite(self.values)
        return self.values if finite.all() else self.values[finite]

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest finite value, (0, 0) when there is none."""
        return (float(self.finite.min()), float(self.finite.max())) if self.finite.size else (0.0, 0.0)

    @cached_property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation (of the population) of the finite values, (0, 0) when there are none."""
        if not self.finite.size:
            return 0.0, 0.0
        largest = max(abs(bound) for bound in self.bounds)
        if largest < _LARGE:
            return float(self.finite.mean()), float(self.finite.std())
        scaled = self.finite / largest
        return float(scaled.mean().clip(-1, 1) * largest), float(scaled.std() * largest)


def continuous_edges(numbers: Numbers) -> tuple[float, ...]:
    """14 edges: -inf, 11 steps of 4/11 of the standard deviation around the mean, +inf."""
    import numpy as np

    mean, spread = numbers.moments
    # Far from zero float64 cannot represent a small spread: then a step is the distance of neighbouring floats.
    spread = max(spread or LEAST_SPREAD, INNER_BINS * math.ulp(mean))
    low = max(mean - _DEVIATIONS * spread, -_FARTHEST_EDGE)
    high = min(mean + _DEVIATIONS * spread, _FARTHEST_EDGE)
    if not low < high:  # the mean itself is beyond the farthest edge
        low, high = sorted((mean, mean / 2))
    return (-np.inf, *np.linspace(low, high, INNER_BINS + 1).tolist(), np.inf)


def continuous_histogram(
    feature: str, values: NDArray[np.float64], edges: tuple[float, ...], rows: int
) -> Histogram:
    """Shares of the present values of ``rows`` in each bin, the last one closed, as numpy counts them."""
    counts = _counts(values, edges)
    total = int(counts.sum())
    weights = (counts / total).tolist() if total else [0.0] * len(counts)
    return Histogram(
        feature=feature,
        kind=HistogramKind.CONTINUOUS,
        edges=edges,
        categories=(),
        weights=tuple(weights),
        row_count=rows,
        missing_count=rows - values.size,
    )


def _counts(values: NDArray[np.float64], edges: tuple[float, ...]) -> NDArray[np.intp]:
    import numpy as np

    inner = np.array(edges[1:-1])
    equal_steps = (
        inner.size > 1
        and edges[0] == -np.inf
        and edges[-1] == np.inf
        and np.array_equal(inner, np.linspace(inner[0], inner[-1], inner.size))
    )
    if not equal_steps:
        return np.histogram(values, np.array(edges))[0]
    # Equal steps are counted without a search; numpy closes the last of them, which is not our last bin.
    low, high = float(inner[0]), float(inner[-1])
    middle = np.histogram(values, inner.size - 1, (low, high))[0]
    at_high = np.count_nonzero(values == high)
    middle[-1] -= at_high
    below, above = np.count_nonzero(values < low), np.count_nonzero(values > high)
    return np.concatenate(([below], middle, [above + at_high]))


def categorical_histogram(
    feature: str, counts: Mapping[str, int], categories: tuple[str, ...], rows: int
) -> Histogram:
    """Shares of the present values of ``rows`` in each category; their sum is below 1 if some are in no category."""
    total = sum(counts.values())
    found = _in_the_words_of(categories, counts)
    weights = tuple(found.get(category, 0) / total if total else 0.0 for category in categories)
    return Histogram(
        feature=feature,
        kind=HistogramKind.CATEGORICAL,
        edges=(),
        categories=categories,
        weights=weights,
        row_count=rows,
        missing_count=rows - total,
    )


def _in_the_words_of(categories: tuple[str, ...], counts: Mapping[str, int]) -> dict[str, int]:
    """Counts with 1 and 1.0 as one category: missing values turn a column of integers into one of floats."""
    known = set(categories)
    found: dict[str, int] = {}
    for text, times in counts.items():
        other = text.removesuffix(".0") if text.endswith(".0") else f"{text}.0"
        word = text if text in known or other not in known else other
        found[word] = found.get(word, 0) + times
    return found
