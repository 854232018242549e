"""How much a feature differs from its training, and with what significance; reported beside the similarity score.

The two samples are compared as a table of counts: one cell for each bin of training, one for values outside all bins (new
categories), and one for missing values. The similarity score misses missing values, and features that concentrate where
training was densest; these measures detect both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.mlops._distribution.tails import gamma_sf, hypergeometric_two_sided, kolmogorov_sf
from parallelm.schemas.records import HistogramKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from parallelm.schemas.records import Histogram

LEAST_EXPECTED: Final = 3.0
"""Cells with a smaller expected count are merged for a p-value; the approximation needs no larger counts."""
_SMOOTHING: Final = 0.5
_LEAST_ROWS: Final = 4


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts of one sample of a feature."""

    bins: tuple[int, ...]
    unseen: int
    """Present values outside all bins."""
    missing: int

    @property
    def present(self) -> int:
        """Number of present values."""
        return sum(self.bins) + self.unseen

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.present + self.missing

    @property
    def missing_share(self) -> float:
        """Share of missing values among all rows."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def unseen_share(self) -> float:
        """Share of values outside all bins among the present ones."""
        return self.unseen / self.present if self.present else 0.0


@dataclass(frozen=True, slots=True)
class Drift:
    """One feature compared with its training; p-values are for the null hypothesis "no drift"."""

    training: Sample
    inference: Sample
    psi: float
    """Population stability index of the table: Σ(i - r)·ln(i / r) over shares, half a row added to each cell."""
    js: float
    """Jensen-Shannon divergence of the table in bits, 0 (equal) to 1 (nothing in common)."""
    p_value: float
    """P-value of the whole table; PSI and JS are, to first order, multiples of its chi-square."""
    ks: float | None
    """Largest distance of the cumulative shares at the bins' edges; None for categories."""
    ks_p_value: float | None
    missing_p_value: float
    unseen_p_value: float | None
    """None for numbers, whose outer bins are open."""


def drift(training: Histogram, inference: Histogram) -> Drift | None:
    """Compare two histograms over the same bins; None when one of them holds no rows or does not say how many."""
    r, i = _sample(training), _sample(inference)
    if not (r.rows and i.rows):
        return None
    continuous = training.kind == HistogramKind.CONTINUOUS
    ks = kolmogorov_smirnov(r.bins, i.bins) if continuous and r.present and i.present else None
    cells_r, cells_i = (*r.bins, r.unseen, r.missing), (*i.bins, i.unseen, i.missing)
    return Drift(
        training=r,
        inference=i,
        psi=population_stability_index(cells_r, cells_i),
        js=jensen_shannon(cells_r, cells_i),
        p_value=table_p_value(cells_r, cells_i),
        ks=None if ks is None else ks[0],
        ks_p_value=None if ks is None else ks[1],
        missing_p_value=_share_p_value(r.missing, r.rows, i.missing, i.rows),
        unseen_p_value=None if continuous else _share_p_value(r.unseen, r.present, i.unseen, i.present),
    )


def _sample(histogram: Histogram) -> Sample:
    present = max(0, histogram.row_count - histogram.missing_count)
    bins = tuple(round(weight * present) for weight in histogram.weights)
    return Sample(bins, max(0, present - sum(bins)), histogram.missing_count)


def _share_p_value(first: int, first_of: int, second: int, second_of: int) -> float:
    return hypergeometric_two_sided(second, second_of, first + second, first_of + second_of)


def _filled(r: Sequence[int], i: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The cells that are not empty in both samples."""
    import numpy as np

    training, inference = np.array(r, dtype=np.float64), np.array(i, dtype=np.float64)
    filled = training + inference > 0
    return training[filled], inference[filled]


def population_stability_index(r: Sequence[int], i: Sequence[int]) -> float:
    """Σ(i - r)·ln(i / r) over the shares of the cells, half a row added to each so that none is empty."""
    import numpy as np

    training, inference = _filled(r, i)
    p = (training + _SMOOTHING) / (training.sum() + _SMOOTHING * training.size)
    q = (inference + _SMOOTHING) / (inference.sum() + _SMOOTHING * inference.size)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(r: Sequence[int], i: Sequence[int]) -> float:
    """Jensen-Shannon divergence of two samples of counts in bits, 0 to 1."""
    import numpy as np

    training, inference = _filled(r, i)
    p, q = training / training.sum(), inference / inference.sum()
    middle = (p + q) / 2
    parts = [(share[share > 0] * np.log2(share[share > 0] / middle[share > 0])).sum() for share in (p, q)]
    return float(min(1.0, max(0.0, sum(parts) / 2)))


def kolmogorov_smirnov(r: Sequence[int], i: Sequence[int]) -> tuple[float, float]:
    """Distance of the cumulative shares of two binned samples, and its p-value.

    The distance of the unbinned values is at least this, and exceeds it by the larger share of one bin at most. The p-value
    is Smirnov's limit; it is an upper bound, since binning never increases the distance.
    """
    import numpy as np

    training, inference = np.array(r, dtype=np.float64), np.array(i, dtype=np.float64)
    n, m = float(training.sum()), float(inference.sum())
    if not (n and m):
        return 0.0, 1.0
    distance = float(np.abs(np.cumsum(training) / n - np.cumsum(inference) / m).max())
    return distance, kolmogorov_sf(math.sqrt(n * m / (n + m)) * distance)


def table_p_value(r: Sequence[int], i: Sequence[int]) -> float:
    """P-value of "both samples come from one distribution" for two rows of counts.

    Pearson's chi-square of the table, held against a gamma distribution with the mean and variance that it has when
    rows are assigned to samples at random (Haldane 1940, Dawson 1954, "A simplified expression for the variance of the
    chi-square function on a contingency table"): unlike the plain chi-square distribution it holds for the small counts
    of outer bins. Cells in which fewer than ``_LEAST_EXPECTED`` rows are expected are merged first.
    """
    training, inference = _without_sparse_cells(*_filled(r, i))
    n, m = float(training.sum()), float(inference.sum())
    both, total, cells = training + inference, n + m, training.size
    if cells < 2 or total < _LEAST_ROWS or not (n and m):  # noqa: PLR2004 - one cell cannot differ
        return 1.0
    chi_square = float((((training * m - inference * n) ** 2) / both).sum() / (n * m))
    mean = total * (cells - 1) / (total - 1)
    v_rows, v_cells = (total - 2) / (total - 1), (cells - 1) * (total - cells) / (total - 1)
    w_rows = (total / n + total / m - 4) / (total - 2)
    w_cells = (float((total / both).sum()) - cells**2) / (total - 2)
    variance = 2 * total / (total - 3) * (v_rows - w_rows) * (v_cells - w_cells)
    variance += total**2 / (total - 1) * w_rows * w_cells
    if variance <= 0:  # only one table has these marginal sums
        return 1.0
    return gamma_sf(chi_square * mean / variance, mean**2 / variance)


def _without_sparse_cells(
    training: NDArray[np.float64], inference: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    both = training + inference
    sparse = both * min(training.sum(), inference.sum()) / both.sum() < LEAST_EXPECTED
    if np.count_nonzero(sparse) < 2:  # noqa: PLR2004 - merging takes two cells
        return training, inference
    return (
        np.append(training[~sparse], training[sparse].sum()),
        np.append(inference[~sparse], inference[sparse].sum()),
    )
