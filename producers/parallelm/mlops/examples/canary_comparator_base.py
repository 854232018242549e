"""Compares a canary pipeline with the main one, by the distance of their latest prediction histograms."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops import mlops
from parallelm.mlops.examples.utils import RunModes, latest, node_of, option, running
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats._callers_values import refusing_call
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import MultiGraph
from parallelm.mlops.stats_category import StatGraphType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_UNSET: Final = -1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram: ``places`` are its categories or, if continuous, its edges (one more than weights)."""

    continuous: bool
    places: tuple[Any, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.places) != len(self.weights) + self.continuous:
            raise MLOpsException(
                f"a histogram of {len(self.weights)} bins has {len(self.places)} edges or categories"
            )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two normalised histograms over the same bins, and their distance."""

    main: Bars
    canary: Bars

    @property
    def rmse(self) -> float:
        """Root of the sum of squared differences."""
        return math.dist(self.main.weights, self.canary.weights)


def compare(main: Bars, canary: Bars) -> Comparison:
    """Bring two histograms onto common bins: merged edges, or all categories.

    Bins that reach to infinity are left out, and the weight of a bin that is split is divided in proportion to length.
    Raises ``MLOpsException`` when one is continuous and the other is not.
    """
    if main.continuous != canary.continuous:
        raise MLOpsException(
            "one prediction histogram is continuous, the other categorical: they cannot be compared"
        )
    if not main.continuous:
        categories = tuple(sorted({*main.places, *canary.places}))
        return Comparison(
            *(Bars(False, categories, _of_categories(bars, categories)) for bars in (main, canary))
        )
    finite = [_finite(bars) for bars in (main, canary)]
    edges = tuple(sorted({edge for bars in finite for edge in bars.places}))
    return Comparison(*(Bars(True, edges, _between(bars, edges)) for bars in finite))


def _of_categories(bars: Bars, categories: tuple[Any, ...]) -> tuple[float, ...]:
    weight = dict(zip(bars.places, bars.weights, strict=True))
    return _normalised([weight.get(category, 0.0) for category in categories])


def _finite(bars: Bars) -> Bars:
    first = int(math.isinf(bars.places[0]))
    last = len(bars.weights) - int(math.isinf(bars.places[-1]))
    if last <= first:
        raise MLOpsException("a prediction histogram has no bin with finite edges")
    return Bars(True, bars.places[first : last + 1], bars.weights[first:last])


def _between(bars: Bars, edges: tuple[float, ...]) -> tuple[float, ...]:
    split = [0.0] * (len(edges) - 1)
    for (low, high), weight in zip(pairwise(bars.places), bars.weights, strict=True):
        for index, (left, right) in enumerate(pairwise(edges)):
            if low <= left and right <= high:
                split[index] += weight * (right - left) / (high - low)
    return _normalised(split)


def _normalised(weights: Sequence[float]) -> tuple[float, ...]:
    total = math.fsum(weights)
    if not total > 0:
        raise MLOpsException("a prediction histogram is empty")
    return tuple(weight / total for weight in weights)


@refusing_call
def canary_comparator(
    options: Any, start: datetime, end: datetime, mode: RunModes | str = RunModes.PYTHON
) -> Comparison | None:
    """Compare the latest prediction histograms of ``options.nodeA`` (main) and ``options.nodeB`` (canary).

    Reports both, the statistic RMSE, and a canary alert, which is healthy if and only if the RMSE is within the
    MLApp's canary threshold. ``options`` may also have ``agentA``, ``agentB`` (id or host name; the first agent
    otherwise), ``predictionHistogramA`` and ``predictionHistogramB`` (names of the statistics). Returns None when one
    of the nodes reported no histogram between ``start`` and ``end``.
    """
    with running(mode, "canary-comparator"):
        found = [_latest_histogram(options, which, start, end) for which in ("A", "B")]
        main, canary = found
        if main is None or canary is None:
            _log.warning(
                "no canary comparison: not both pipelines reported predictions between %s and %s", start, end
            )
            return None
        comparison = compare(main, canary)
        policy = mlops.get_mlapp_policy()
        report_comparison(comparison, _UNSET if policy is None else policy.canary_threshold)
        return comparison


def _latest_histogram(options: Any, which: str, start: datetime, end: datetime) -> Bars | None:
    name = option(options, f"predictionHistogram{which}", PredefinedStats.PREDICTION_HISTOGRAM)
    row = latest(name, node_of(options, which), option(options, f"agent{which}"), start, end)
    if row is None:
        return None
    continuous = row["hist_type"] == StatGraphType.HISTOGRAM_TYPE_CONTIGOUOUS
    places = (
        tuple(float(edge) for edge in row["bin_edges"]) if continuous else tuple(map(str, row["bin_edges"]))
    )
    return Bars(continuous, places, tuple(float(weight) for weight in row["hist_values"]))


def report_comparison(comparison: Comparison, threshold: float | None) -> None:
    """Report both histograms and their distance, and an alert if there is a threshold (-1 and None mean none)."""
    graph = MultiGraph().name("Prediction Histograms").x_title("Predictions").y_title("Normalized Frequency")
    if not comparison.main.continuous:
        graph.set_categorical()
    for title, bars in (("Main Pipeline", comparison.main), ("Canary Pipeline", comparison.canary)):
        bar_graph = BarGraph().name(title).cols(bars.places).data(bars.weights)
        mlops.set_stat(bar_graph.as_continuous() if bars.continuous else bar_graph)
        graph.add_series(x=bars.places[: len(bars.weights)], y=bars.weights, label=title)
    mlops.set_stat(graph)
    mlops.set_stat("RMSE", comparison.rmse)
    if threshold is not None and threshold != _UNSET:
        mlops.canary_alert("Canary Alert", comparison.rmse <= threshold, comparison.rmse, threshold)
