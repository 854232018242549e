"""Graphs of y over x: all series on one x (``Graph``), or each series with its own (``MultiGraph``)."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Self, cast

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import distinct, is_text
from parallelm.mlops.stats._statistic import Statistic, json_report
from parallelm.mlops.stats._values import coordinate, items, number, numbers, shown, string
from parallelm.mlops.stats_category import StatGraphType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.mlops._reporting.payloads import StructuredReport


class _Axes(Statistic):
    """Titles, type of the x axis and annotations of both kinds of graph."""

    def __init__(self) -> None:
        super().__init__()
        self._x_title = "X - Title"
        self._y_title = "Y - Title"
        self._categorical = False
        self._annotations: dict[str, list[dict[str, Any]]] = {"x": [], "y": []}

    def x_title(self, title: str) -> Self:
        """Set the title of the x axis."""
        self._x_title = string(title, "the title of the x axis")
        return self

    def y_title(self, title: str) -> Self:
        """Set the title of the y axis."""
        self._y_title = string(title, "the title of the y axis")
        return self

    def set_categorical(self) -> Self:
        """Treat x as names."""
        self._categorical = True
        return self

    def set_continuous(self) -> Self:
        """Treat x as numbers, which is the default."""
        self._categorical = False
        return self

    def annotate(self, label: str, x: float | str | None = None, y: float | None = None) -> Self:
        """Annotate one value on the x axis or one on the y axis, not both."""
        if (x is None) == (y is None):
            raise MLOpsException("an annotation marks either an x or a y")
        axis, value = ("y", y) if x is None else ("x", x)
        mark = {
            "label": string(label, "the label of an annotation"),
            "value": coordinate(value, "an annotation"),
        }
        self._annotations[axis].append(mark)
        return self

    def _drawn(self, x_series: list[Any], y_series: list[dict[str, Any]]) -> StructuredReport:
        graph = {
            "x_title": self._x_title,
            "y_title": self._y_title,
            "x_axis_type": "Categorical" if self._categorical else "Continuous",
            "x_axis_tick_postfix": "",
            "x_series": x_series,
            "y_series": y_series,
            "x_annotation": self._annotations["x"],
            "y_annotation": self._annotations["y"],
        }
        # Programs parse this form, which repr() of an OrderedDict does not have from Python 3.12 on.
        text = f"OrderedDict({list(graph.items())!r})"
        return json_report(self._name, StatGraphType.GENERAL_GRAPH, graph, text)


class Graph(_Axes):
    """One x series and any number of y series of the same length."""

    def __init__(self) -> None:
        super().__init__()
        self._x: list[Any] | None = None
        self._y: list[dict[str, Any]] = []

    def set_x_series(self, x_series: Sequence[float | str]) -> Self:
        """Set the values on the x axis, once."""
        if self._x is not None:
            raise MLOpsException(f"graph {self._name!r} has an x series already; use MultiGraph for several")
        self._x = [
            coordinate(value, "each element of the x series") for value in items(x_series, "the x series")
        ]
        return self

    def add_y_series(self, label: str, data: Sequence[float]) -> Self:
        """Add one named line with one y for each x; the x series must be set before."""
        if self._x is None:
            raise MLOpsException(f"graph {self._name!r} has no x series yet: call set_x_series() first")
        name, heights = string(label, "the label of a y series"), numbers(data, "a y series")
        if len(heights) != len(self._x):
            raise MLOpsException(
                f"y series {name!r} of graph {self._name!r} has {len(heights)} points, x has {len(self._x)}"
            )
        self._y.append({"label": name, "data": heights})
        return self

    def report(self) -> StructuredReport:
        """The graph as JSON."""
        if not self._x:
            raise MLOpsException(f"graph {self._name!r} has no x series")
        if not self._y:
            raise MLOpsException(f"graph {self._name!r} has no y series")
        distinct((series["label"] for series in self._y), f"in graph {self._name!r}, the y series")
        return self._drawn(self._x, self._y)


class MultiGraph(_Axes):
    """Series with their own x values, drawn over the sorted union of all x; missing points are null.

    Infinities become the largest finite numbers, so that an open histogram bin can be drawn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._series: list[tuple[str, list[Any], list[int | float]]] = []

    def add_series(
        self, x: Sequence[float | str] | str, y: Sequence[float], label: str | Sequence[float]
    ) -> Self:
        """Add one line: ``add_series(x=[…], y=[…], label="…")``, also as ``add_series("…", [x…], [y…])``.

        Of several points with the same x the first counts.
        """
        if is_text(x) and not is_text(label):
            x, y, label = y, cast("Sequence[float]", label), x
        places = [coordinate(value, "each element of x") for value in items(x, "x")]
        heights = [_drawable(height) for height in numbers(y, "y")]
        name = string(label, "the label of a series")
        if len(places) != len(heights):
            raise MLOpsException(f"series {name!r} has {len(places)} x for {len(heights)} y")
        self._series.append((name, places, heights))
        return self

    def report(self) -> StructuredReport:
        """The graph as JSON."""
        if not self._series:
            raise MLOpsException(f"graph {self._name!r} has no series")
        distinct((label for label, _, _ in self._series), f"in graph {self._name!r}, the series")
        place = self._name_of_place if self._categorical else self._number_of_place
        places = {x for _, series, _ in self._series for x in series}
        if not places:
            raise MLOpsException(f"graph {self._name!r} has no points")
        lines = []
        for label, series, heights in self._series:
            if self._categorical:
                distinct(map(self._name_of_place, dict.fromkeys(series)), f"in series {label!r}, the x")
            # In reverse, so that the first of several points with the same x wins.
            points = zip(map(place, reversed(series)), reversed(heights), strict=True)
            lines.append((label, dict(points)))
        union = list(dict.fromkeys(map(place, _in_order(places))))
        y_series = [{"label": label, "data": [points.get(x) for x in union]} for label, points in lines]
        return self._drawn(union, y_series)

    @staticmethod
    def _name_of_place(x: object) -> str:
        return shown(x, "x")

    def _number_of_place(self, x: object) -> int | float:
        place = _drawable(number(x, f"each x of graph {self._name!r}, which is continuous,"))
        if math.isnan(place):
            raise MLOpsException(f"graph {self._name!r} has an x that is NaN, which cannot be drawn")
        return place


def _in_order(places: set[int | float | str]) -> list[Any]:
    """Sorted by value, so that category 10 comes after 2; by text if numbers and texts are mixed."""
    try:
        return sorted(places)
    except TypeError:
        return sorted(places, key=str)


def _drawable(value: int | float) -> int | float:  # noqa: PYI041 - an int stays an int
    return (
        math.copysign(sys.float_info.max, value) if isinstance(value, float) and math.isinf(value) else value
    )
