"""Panels, one below the other, on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from parallelm.server.charts.drawing import BRUSH, time_axis

_TITLE: Final = 26
_GAP: Final = 10
_AXIS: Final = 26
_LEFT: Final = 170


@dataclass(frozen=True, slots=True)
class Panel:
    """Series with a y axis of their own."""

    title: str
    height: int
    """Pixels of the drawing itself."""
    y_axis: dict[str, Any]
    series: Sequence[dict[str, Any]]
    is_lanes: bool = False
    """Things are pointed at one by one, not a time in all series."""
    note: str = ""
    names: Sequence[tuple[str, str]] = field(default=())
    """Of lines, with their colours."""


def stack(panels: Sequence[Panel], start: int | None, end: int | None) -> tuple[dict[str, Any], int]:
    """An option, and the height of the chart in pixels. Times are those of ``wall_ms``."""
    grids, titles, across, down, series = [], [], [], [], []
    top = 0
    for number, panel in enumerate(panels):
        is_last = number == len(panels) - 1
        grids.append(
            {
                "left": _LEFT,
                "right": 18,
                "top": top + _TITLE,
                "height": panel.height,
                "tooltip": {"trigger": "item" if panel.is_lanes else "axis"},
            }
        )
        titles.append(
            {
                "text": _heading(panel),
                "left": 0,
                "top": top + 2,
                "padding": 0,
                "textStyle": {"rich": _styles(panel)},
            }
        )
        labels = {"hideOverlap": True, "show": is_last}
        pointer = {
            "show": not panel.is_lanes,
            "lineStyle": {"color": "var(--outline)"},
            "label": {"show": is_last},
        }
        across.append(
            time_axis(
                start,
                end,
                gridIndex=number,
                axisLabel=labels,
                axisTick={"show": is_last},
                axisPointer=pointer,
            )
        )
        down.append({**panel.y_axis, "gridIndex": number})
        series += [{**each, "xAxisIndex": number, "yAxisIndex": number} for each in panel.series]
        top += _TITLE + panel.height + _GAP
    option = {
        "grid": grids,
        "title": titles,
        "xAxis": across,
        "yAxis": down,
        "series": series,
        "tooltip": {"trigger": "item", "confine": True, "valueFormatter": "short"},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "toolbox": {**BRUSH, "feature": {"dataZoom": {**BRUSH["feature"]["dataZoom"], "xAxisIndex": "all"}}},
    }
    return option, top + _AXIS


def _heading(panel: Panel) -> str:
    names = "".join(f"  {{line{number}|● {_plain(name)}}}" for number, (name, _) in enumerate(panel.names))
    return f"{{name|{_plain(panel.title)}}}  {{note|{_plain(panel.note)}}}{names}"


def _styles(panel: Panel) -> dict[str, Any]:
    small = {"fontSize": 11, "fontWeight": "normal"}
    return {
        "name": {"fontSize": 12, "fontWeight": 600, "color": "var(--ink)"},
        "note": {**small, "color": "var(--muted)"},
        **{f"line{number}": {**small, "color": colour} for number, (_, colour) in enumerate(panel.names)},
    }


def _plain(text: str) -> str:
    """Text without what rich labels read as a style."""
    return text.replace("{", "(").replace("}", ")").replace("|", "/").replace("\n", " ")
