"""Mann-Whitney U test with a confidence interval of the shift, as Kayenta's judge uses it.

The p-value is scipy's. The interval of the location shift is the one of Hodges and Lehmann: order statistics of all
pairwise differences, at the rank that the normal approximation with continuity correction gives (R's ``wilcox.test``
with ``conf.int``, which Kayenta follows, solves for the same ends).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ShiftTest:
    """How much larger the values of a canary are than those of the live model."""

    p_value: float
    """Two-sided."""
    estimate: float
    """Median of all pairwise differences, canary minus baseline (Hodges-Lehmann)."""
    lower: float
    upper: float
    """Confidence interval of the shift; infinite when there are too few values for the confidence."""
    effect: float
    """Common-language effect size: probability that a value of the canary is the larger one; ties count half."""


def shift_test(baseline: Sequence[float], canary: Sequence[float], confidence: float) -> ShiftTest:
    """Test ``canary`` against ``baseline``, each of at least one finite value."""
    import numpy as np
    from scipy.stats import mannwhitneyu, norm

    base, other = np.asarray(baseline, dtype=float), np.asarray(canary, dtype=float)
    differences = np.sort((other[:, None] - base[None, :]).ravel())
    pairs, total = differences.size, base.size + other.size
    if differences[0] == differences[-1] == 0:  # scipy divides by the spread of the ranks
        return ShiftTest(1.0, 0.0, 0.0, 0.0, 0.5)
    result = mannwhitneyu(other, base, alternative="two-sided")
    _, counts = np.unique(np.concatenate([base, other]), return_counts=True)
    ties = float(np.sum(counts.astype(float) ** 3 - counts)) / (total * (total - 1))
    sigma = float(np.sqrt(pairs / 12 * (total + 1 - ties)))
    rank = int(np.floor(pairs / 2 - float(norm.ppf((1 + confidence) / 2)) * sigma - 0.5))
    enough = rank >= 0
    return ShiftTest(
        p_value=float(result.pvalue),
        estimate=float(np.median(differences)),
        lower=float(differences[rank]) if enough else -np.inf,
        upper=float(differences[pairs - 1 - rank]) if enough else np.inf,
        effect=float(result.statistic) / pairs,
    )
