"""What the data distribution of a frame costs, beside ``numpy.histogram`` over the same columns in the same run.

python -m benchmarks distribution
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from parallelm.mlops._distribution import distribution_reports
from parallelm.mlops._distribution.columns import features
from parallelm.mlops._distribution.histograms import Numbers, continuous_edges, continuous_histogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROWS, COLUMNS, ROUNDS = 1_000_000, 20, 5


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def numpy_histograms(values: NDArray[np.float64], edges: list[NDArray[np.float64]]) -> None:
    """The peer: the same bins, with their edges already known."""
    for column, bins in enumerate(edges):
        np.histogram(values[column], bins)


def our_histograms(frame: pd.DataFrame) -> None:
    """Kind of the feature, missing values, mean, deviation, edges and counts of every column."""
    for feature in features(frame):
        assert feature.column.counts(25) is None  # noqa: S101 - the kind is found out as in production
        values = feature.column.floats()
        assert values is not None  # noqa: S101
        continuous_histogram(feature.name, values, continuous_edges(Numbers(values)), feature.column.size)


def main() -> None:
    """Print the ratios: the best of some rounds, each peer beside ours."""
    values = np.random.default_rng(1).normal(size=(COLUMNS, ROWS))
    frame = pd.DataFrame(values.T, columns=[f"x{column}" for column in range(COLUMNS)], copy=False)
    edges = [np.array(continuous_edges(Numbers(column))) for column in values]
    training = [
        histogram for report in distribution_reports(frame) for histogram in getattr(report, "histograms", ())
    ]
    rounds = [
        (
            seconds(lambda: numpy_histograms(values, edges)),
            seconds(lambda: our_histograms(frame)),
            seconds(lambda: distribution_reports(frame)),
            seconds(lambda: distribution_reports(frame, training)),
        )
        for _ in range(ROUNDS)
    ]
    peer, ours, reports, compared = (min(column) for column in zip(*rounds, strict=True))
    print(
        f"frame of {ROWS:,} x {COLUMNS}, best of {ROUNDS}; numpy.histogram over its columns: {peer:.3f} s = 1.00"
    )
    print(f"  histograms                                     {ours / peer:.2f}  (bar: 3.00)")
    print(f"  all reports (with analysis tables)             {reports / peer:.2f}")
    print(f"  all reports against training (heat map, scores) {compared / peer:.2f}")


if __name__ == "__main__":
    main()
