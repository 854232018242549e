"""Lanes on a time axis: what lasts as bars (live models, alerts), what happens at a moment as marks (events, actions)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from parallelm.server.charts.drawing import wall_ms
from parallelm.server.charts.panels import Panel

_LANE: Final = 26
_NAME_WIDTH: Final = 155
SEVERITY_COLOURS: Final = {"critical": "var(--critical)", "warning": "var(--warning)", "info": "var(--info)"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasts; without an end it goes on."""

    lane: str
    start_ms: int
    end_ms: int | None
    text: str
    told: str
    colour: str = "var(--band-2)"
    ink: str = "var(--ink)"
    opacity: float = 1.0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happens at a moment."""

    lane: str
    at_ms: int
    told: str
    colour: str = "var(--accent)"
    symbol: str = "circle"
    link: str = ""


def lane_panel(
    title: str, bars: Sequence[Bar], marks: Sequence[Mark], zone: str, *, lanes: Sequence[str] = ()
) -> Panel:
    """A lane for each name: ``lanes``, and others in the order in which they come.

    What goes on has null as its end: it is drawn up to that of the axis, and stays as it is while that moves.
    """
    lanes = list(dict.fromkeys([*lanes, *(bar.lane for bar in bars), *(mark.lane for mark in marks)]))
    places = {lane: number for number, lane in enumerate(lanes)}
    axis = {
        "type": "category",
        "data": lanes,
        "inverse": True,
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "splitLine": {"show": False},
        "axisLabel": {"width": _NAME_WIDTH, "overflow": "truncate"},
    }
    starts = wall_ms((bar.start_ms for bar in bars), zone)
    ends = wall_ms((bar.start_ms if bar.end_ms is None else bar.end_ms for bar in bars), zone)
    drawn_bars = [
        {
            "name": _one_line(bar.told),
            "value": [places[bar.lane], start, None if bar.end_ms is None else max(start, end), bar.text],
            "itemStyle": {"color": bar.colour, "borderColor": bar.ink, "opacity": bar.opacity},
            **_link(bar.link),
        }
        for bar, start, end in zip(bars, starts, ends, strict=True)
    ]
    drawn_marks = [
        {
            "name": _one_line(mark.told),
            "value": [at, places[mark.lane]],
            "symbol": mark.symbol,
            "itemStyle": {"color": mark.colour},
            **_link(mark.link),
        }
        for mark, at in zip(marks, wall_ms((mark.at_ms for mark in marks), zone), strict=True)
    ]
    pointed: dict[str, Any] = {"tooltip": {"formatter": "{b}"}}
    series: list[dict[str, Any]] = [
        {
            "type": "custom",
            "renderItem": "lanes",
            "encode": {"x": [1, 2], "y": 0},
            "data": drawn_bars,
            "clip": True,
            **pointed,
        },
        {
            "type": "scatter",
            "symbolSize": 11,
            "data": drawn_marks,
            "cursor": "pointer",
            **pointed,
        },
    ]
    return Panel(title, max(1, len(lanes)) * _LANE, axis, series, is_lanes=True)


def _link(link: str) -> dict[str, str]:
    return {"link": link} if link else {}


def _one_line(text: str, letters: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= letters else f"{line[: letters - 1]}…"
