"""Prediction distributions: from a reported statistic to bins, and their distance.

The distance is the reference's: root of the summed squared differences of the normalised bins. Continuous histograms
are compared on the edges of both, bins with an infinite edge dropped and the mass of each bin split in proportion to
length; categorical ones by category.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import HistogramKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.schemas.records import StructuredStatistic

MAX_BINS = 500
"""Histograms with more bins are not compared: their JSON is remembered."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Weights of categories, or of the bins between edges."""

    weights: tuple[float, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Strict JSON: infinite edges are texts."""
        kind = HistogramKind.CONTINUOUS if self.edges else HistogramKind.CATEGORICAL
        bins: dict[str, Any] = {"edges": [edge if math.isfinite(edge) else str(edge) for edge in self.edges]}
        if not self.edges:
            bins = {"categories": list(self.categories)}
        return json.dumps({"kind": kind.value, **bins, "weights": list(self.weights)})

    @classmethod
    def from_json(cls, text: str) -> Distribution:
        """Inverse of ``to_json``; raises ``ValueError``."""
        try:
            found = json.loads(text)
            edges = tuple(float(edge) for edge in found.get("edges", ()))
            categories = tuple(str(name) for name in found.get("categories", ()))
            made = cls(tuple(float(weight) for weight in found["weights"]), edges, categories)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{text[:200]!r} is no distribution: {error}") from error
        if len(made.weights) != (len(edges) - 1 if edges else len(categories)):
            raise ValueError(f"{text[:200]!r} is no distribution: weights and bins differ in number")
        return made


def distribution_of(statistic: StructuredStatistic) -> str:
    """JSON of a reported bar graph or histogram, for ``RuleAggregate.data``; empty when it holds no distribution."""
    if statistic.histograms:
        first = statistic.histograms[0]
        made = Distribution(tuple(first.weights), tuple(first.edges), tuple(first.categories))
    else:
        found = _bars(statistic)
        if found is None:
            return ""
        made = found
    usable = 0 < len(made.weights) <= MAX_BINS and all(0 <= weight < math.inf for weight in made.weights)
    return made.to_json() if usable and sum(made.weights) > 0 else ""


def _bars(statistic: StructuredStatistic) -> Distribution | None:
    """A bar graph's payload is ``{name: [{bar: value}, …]}``; continuous when every bar is called ``a to b``."""
    try:
        payload = json.loads(statistic.data)
        bars = payload.get(statistic.name, next(iter(payload.values()), None))
        pairs = [(str(name), float(value)) for bar in bars for name, value in bar.items()]
    except (ValueError, TypeError, AttributeError):
        return None
    if not pairs:
        return None
    weights = tuple(value for _, value in pairs)
    edges = _edges([name for name, _ in pairs])
    return (
        Distribution(weights, edges)
        if edges
        else Distribution(weights, categories=tuple(n for n, _ in pairs))
    )


def _edges(names: Sequence[str]) -> tuple[float, ...]:
    """Edges that names like ``0 to 1`` give when they follow each other; else none."""
    try:
        ends = [tuple(float(end) for end in name.split(" to ", 1)) for name in names]
    except ValueError:
        return ()
    if any(len(pair) != 2 or not pair[0] < pair[1] for pair in ends):  # noqa: PLR2004 - both ends
        return ()
    edges = [ends[0][0], *(pair[1] for pair in ends)]
    follow = all(first[1] == second[0] for first, second in pairwise(ends))
    return tuple(edges) if follow else ()


def rmse(first: Distribution, second: Distribution) -> float:
    """Distance of two distributions; raises ``ValueError`` when one is continuous and the other is not."""
    if bool(first.edges) != bool(second.edges):
        raise ValueError("a continuous and a categorical distribution cannot be compared")
    if not first.edges:
        ours, theirs = _by_category(first), _by_category(second)
        return math.sqrt(
            sum((ours.get(name, 0.0) - theirs.get(name, 0.0)) ** 2 for name in ours.keys() | theirs.keys())
        )
    ours_bins, theirs_bins = _finite(first), _finite(second)
    edges = sorted({edge for start, end, _ in (*ours_bins, *theirs_bins) for edge in (start, end)})
    pairs = list(pairwise(edges))
    mine, other = _spread(ours_bins, pairs), _spread(theirs_bins, pairs)
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(mine, other, strict=True)))


def _by_category(of: Distribution) -> Mapping[str, float]:
    total = sum(of.weights) or 1.0
    found: dict[str, float] = {}
    for name, weight in zip(of.categories, of.weights, strict=True):
        found[name] = found.get(name, 0.0) + weight / total
    return found


def _finite(of: Distribution) -> list[tuple[float, float, float]]:
    """Bins with finite edges: start, end, share of the mass in such bins."""
    bins = [
        (start, end, weight)
        for (start, end), weight in zip(pairwise(of.edges), of.weights, strict=True)
        if math.isfinite(start) and math.isfinite(end) and end > start
    ]
    total = sum(weight for _, _, weight in bins) or 1.0
    return [(start, end, weight / total) for start, end, weight in bins]


def _spread(bins: Sequence[tuple[float, float, float]], onto: Sequence[tuple[float, float]]) -> list[float]:
    """Mass of bins on finer ones, in proportion to length."""
    return [
        sum(
            mass * max(0.0, min(end, high) - max(start, low)) / (end - start)
            for start, end, mass in bins
            if end > low and start < high
        )
        for low, high in onto
    ]
