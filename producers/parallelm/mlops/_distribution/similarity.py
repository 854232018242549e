"""Similarity of a distribution in production to the one that the model was trained on."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def similarity_score(training: Sequence[float], inference: Sequence[float]) -> float:
    """Overlap of two histograms r and i over the same bins, 0 (none) to 1: (Σr)²/Σr² · Σ(r·i)/(Σr·Σi), clipped.

    Weights are shares of 1; the rest to 1 (values outside all bins, or no values at all) counts as one more bin. The
    score is 1 for equal shapes, and for any shape that concentrates where training was densest.
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
