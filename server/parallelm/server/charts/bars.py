"""Bars: named ones, histograms with their edges, and two histograms over each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from parallelm.server.charts.drawing import Drawing, finite, frame, legend, nothing, series_colour, value_axis

MOST_BARS: Final = 60


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of the values in bins: between ``edges``, one more than weights, or of ``categories``."""

    name: str
    weights: Sequence[float]
    edges: Sequence[float] = ()
    categories: Sequence[str] = field(default=())

    @classmethod
    def of_row(cls, name: str, row: Mapping[str, Any]) -> Self:
        """Of a row of the warehouse's ``histograms``."""
        return cls(name, list(row["weights"]), list(row["edges"]), list(row["categories"]))


def draw_bars(bars: Sequence[tuple[str, float]], *, name: str = "") -> Drawing:
    """Named bars in their order."""
    if not bars:
        return nothing("It has no bars.")
    shown = bars[:MOST_BARS]
    option = frame(
        xAxis={"type": "category", "data": [bar for bar, _ in shown], "axisLabel": {"hideOverlap": True}},
        yAxis=value_axis(scale=False),
        series=[
            {
                "type": "bar",
                "name": name,
                "data": [finite(value) for _, value in shown],
                "color": series_colour(0),
                "barMaxWidth": 46,
            }
        ],
    )
    highest = max(bars, key=lambda bar: bar[1] if math.isfinite(bar[1]) else -math.inf)
    return Drawing(
        f"{len(bars)} bars; the highest is {highest[0]} with {highest[1]:.4g}",
        option,
        ("Bar", "Height"),
        [[bar, finite(value)] for bar, value in bars],
        notes=[f"The first {MOST_BARS} of {len(bars)} bars are drawn"] if len(bars) > MOST_BARS else (),
    )


def draw_histograms(histograms: Sequence[Histogram]) -> Drawing:
    """One, or several over each other, such as training and inference."""
    histograms = [each for each in histograms if each.weights]
    if not histograms:
        return nothing("There is no histogram in this time.")
    if any(each.edges for each in histograms):
        return _draw_edges([each for each in histograms if each.edges])
    return _draw_categories(histograms)


def _draw_edges(histograms: Sequence[Histogram]) -> Drawing:
    series, rows = [], []
    opacity = 0.6 if len(histograms) > 1 else 0.9
    for number, histogram in enumerate(histograms):
        edges = drawable_edges(histogram.edges)
        bins = zip(edges, edges[1:], histogram.weights, strict=False)
        series.append(
            {
                "type": "custom",
                "renderItem": "bins",
                "name": histogram.name,
                "data": [[low, high, finite(weight), opacity] for low, high, weight in bins],
                "encode": {"x": [0, 1], "y": 2},
                "color": series_colour(number),
                "clip": True,
            }
        )
        written = zip(histogram.edges, histogram.edges[1:], histogram.weights, strict=False)
        rows += [
            [histogram.name, f"{low:.6g} to {high:.6g}", finite(weight)] for low, high, weight in written
        ]
    option = frame(
        legend=legend([each.name for each in histograms]),
        xAxis=value_axis(splitLine={"show": False}),
        yAxis=value_axis(scale=False, min=0),
        tooltip={"trigger": "item", "confine": True, "valueFormatter": "short"},
        series=series,
    )
    return Drawing(_in_words(histograms), option, ("Histogram", "Bin", "Share"), rows)


def drawable_edges(edges: Sequence[float]) -> list[float]:
    """Infinite edges moved to where a bin as wide as its neighbour ends."""
    inner = [edge for edge in edges if math.isfinite(edge)]
    if not inner:
        return [-1.0, 1.0] if len(edges) > 1 else []
    first = inner[1] - inner[0] if len(inner) > 1 else abs(inner[0]) or 1.0
    last = inner[-1] - inner[-2] if len(inner) > 1 else first
    before = [inner[0] - first] if edges[0] == -math.inf else []
    after = [inner[-1] + last] if edges[-1] == math.inf else []
    return [*before, *inner, *after]


def _draw_categories(histograms: Sequence[Histogram]) -> Drawing:
    names = list(dict.fromkeys(name for each in histograms for name in each.categories))
    shares = [dict(zip(each.categories, each.weights, strict=False)) for each in histograms]
    if len(names) > MOST_BARS:
        largest = sorted(names, key=lambda name: -max(share.get(name, 0.0) for share in shares))[:MOST_BARS]
        names = [name for name in names if name in set(largest)]
    option = frame(
        legend=legend([each.name for each in histograms]),
        xAxis={"type": "category", "data": names, "axisLabel": {"hideOverlap": True}},
        yAxis=value_axis(scale=False, min=0),
        series=[
            {
                "type": "bar",
                "name": each.name,
                "data": [finite(share.get(name, 0.0)) for name in names],
                "color": series_colour(number),
                "barMaxWidth": 34,
                "barGap": "5%",
            }
            for number, (each, share) in enumerate(zip(histograms, shares, strict=True))
        ],
    )
    rows = [
        [each.name, name, finite(share.get(name, 0.0))]
        for each, share in zip(histograms, shares, strict=True)
        for name in names
    ]
    return Drawing(_in_words(histograms), option, ("Histogram", "Category", "Share"), rows)


def _in_words(histograms: Sequence[Histogram]) -> str:
    what = "bins" if histograms[0].edges else "categories"
    parts = [f"{each.name}: {len(each.weights)} {what}" for each in histograms]
    return f"Histogram; {'; '.join(parts)}"
