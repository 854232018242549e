"""General graphs of y over x with annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from parallelm.operations.words import counted
from parallelm.server.charts.drawing import (
    Drawing,
    finite,
    frame,
    legend,
    nothing,
    series_colour,
    value_axis,
)
from parallelm.server.charts.thinning import thinned

_FEW_POINTS: Final = 60
_HUGE: Final = 1e300
"""Components put the largest float for an infinite one, which no axis can show."""


def draw_graph(graph: Mapping[str, Any]) -> Drawing:
    """A reported ``GENERAL_GRAPH``: its x series is shared by all y series."""
    x_series, y_series = graph.get("x_series") or [], graph.get("y_series") or []
    if not x_series or not y_series:
        return nothing("The graph has no points.")
    is_categorical = graph.get("x_axis_type") == "Categorical"
    lines = [
        (str(each.get("label", "")), _points(x_series, each.get("data") or [], is_categorical))
        for each in y_series
    ]
    marks = _marks(graph.get("x_annotation"), "xAxis") + _marks(graph.get("y_annotation"), "yAxis")
    series: list[dict[str, Any]] = [
        {
            "type": "line",
            "name": name,
            "data": [list(point) for point in points]
            if not is_categorical
            else [value for _, value in points],
            "showSymbol": len(points) <= _FEW_POINTS,
            "symbolSize": 5,
            "color": series_colour(number),
            "emphasis": {"disabled": True},
        }
        for number, (name, points) in enumerate(lines)
    ]
    series[0]["markLine"] = {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": "var(--muted)", "type": "dashed"},
        "label": {"color": "var(--muted)", "formatter": "{b}"},
        "data": marks,
    }
    across: dict[str, Any] = (
        {"type": "category", "data": [str(x) for x in x_series]}
        if is_categorical
        else value_axis(splitLine={"show": False})
    )
    across |= {"name": str(graph.get("x_title", "")), "nameLocation": "middle", "nameGap": 26}
    option = frame(
        legend=legend([name for name, _ in lines]),
        xAxis=across,
        yAxis=value_axis(str(graph.get("y_title", ""))),
        series=series,
    )
    option["grid"] |= {"top": 44, "bottom": 26}
    told = "".join(f"; marked: {mark['name']}" for mark in marks)
    return Drawing(
        f"{counted(len(lines), 'line')} of {graph.get('y_title', 'y')} over {graph.get('x_title', 'x')}{told}",
        option,
        (str(graph.get("x_title", "x")), "Series", str(graph.get("y_title", "y"))),
        [[x, name, value] for name, points in lines for x, value in points],
    )


def _points(
    x_series: Sequence[Any], heights: Sequence[Any], is_categorical: bool
) -> list[tuple[Any, float | None]]:
    points: list[tuple[Any, float | None]] = []
    for x, height in zip(x_series, heights, strict=False):
        value = finite(height) if isinstance(height, int | float) and abs(height) < _HUGE else None
        points.append((x, value))
    return points if is_categorical else thinned([(x, y) for x, y in points if _is_place(x)])


def _is_place(x: Any) -> bool:
    return isinstance(x, int | float) and abs(x) < _HUGE


def _marks(annotations: Sequence[Mapping[str, Any]] | None, axis: str) -> list[dict[str, Any]]:
    return [{"name": str(each.get("label", "")), axis: each.get("value")} for each in annotations or ()]
