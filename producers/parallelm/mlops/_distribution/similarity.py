"""How much a distribution seen in production looks like the one that its model was trained on."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def similarity_score(training: Sequence[float], inference: Sequence[float]) -> float:
    """Overlap of two histograms r and i over the same bins, 0 (none) to 1: (Σr)²/Σr² · Σ(r·i)/(Σr·Σi), clipped.

    Weights are shares of 1; what either lacks to 1 (values in none of the bins, or no values at all) is one more bin.
    It is 1 for equal shapes, and for any that sits where training was densest.
    """
    r = [*training, max(0.0, 1.0 - fsum(training))]
    i = [*inference, max(0.0, 1.0 - fsum(inference))]
    score = (
        fsum(r) ** 2
        / fsum(x * x for x in r)
        * fsum(x * y for x, y in zip(r, i, strict=True))
        / (fsum(r) * fsum(i))
    )
    return min(1.0, max(0.0, score))
