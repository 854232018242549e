"""Everything of an MLApp on one time axis: KPI, statistics, live models, alerts, and what happened at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parallelm.server.charts.drawing import (
    Drawing,
    finite,
    nothing,
    series_colour,
    value_axis,
    wall_ms,
    wall_text,
)
from parallelm.server.charts.lanes import Bar, Mark, lane_panel
from parallelm.server.charts.lines import Window
from parallelm.server.charts.panels import Panel, stack
from parallelm.server.charts.thinning import thinned

if TYPE_CHECKING:
    import pandas as pd

_KPI_HEIGHT: Final = 170
_STATISTIC_HEIGHT: Final = 110
_MOST_SERIES: Final = 8
_MOST_NAMES: Final = 5
_FEW_POINTS: Final = 90
BAND_COLOURS: Final = ("var(--band-2)", "var(--band-1)")


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one line, in milliseconds since 1970."""

    name: str
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines that share a panel."""

    title: str
    note: str
    curves: Sequence[Curve]


@dataclass(frozen=True, slots=True)
class Happenings:
    """What the timeline shows."""

    window: Window
    kpi: Curves | None = None
    statistics: Sequence[Curves] = ()
    models: Sequence[Bar] = ()
    runs: Sequence[Bar] = ()
    alerts: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    notes: Sequence[str] = field(default=())


def draw_timeline(found: Happenings, zone: str) -> Drawing:
    """The panels, one below the other."""
    start_ms, end_ms = found.window.start_ms, found.window.end_ms
    if start_ms is None or end_ms is None:
        return nothing("Nothing was reported yet.")
    panels = [_curves_panel(found.kpi, _KPI_HEIGHT, zone, found)] if found.kpi else []
    panels += [
        _curves_panel(each, _STATISTIC_HEIGHT, zone, None, number + 1)
        for number, each in enumerate(found.statistics)
    ]
    if found.models:
        panels.append(lane_panel("Live models", found.models, (), zone))
    if found.runs:
        # Not as they come: the earliest are left out as others come.
        lanes = sorted({each.lane for each in found.runs})
        panels.append(lane_panel("Runs", found.runs, (), zone, lanes=lanes))
    if found.alerts:
        panels.append(lane_panel("Alerts", found.alerts, (), zone))
    if found.marks:
        panels.append(lane_panel("What happened", (), found.marks, zone))
    if not panels:
        return nothing("Nothing happened in this time.")
    option, height = stack(panels, wall_ms([start_ms], zone)[0], wall_ms([end_ms], zone)[0])
    rows = sorted(
        [
            *_bar_rows(found.models, "live", zone),
            *_bar_rows(found.runs, "run", zone),
            *_bar_rows(found.alerts, "fired", zone),
            *_mark_rows(found.marks, zone),
        ]
    )
    told = (
        f"Timeline: {len(found.models)} live models, {len(found.runs)} runs, {len(found.alerts)} alerts, "
        f"{len(found.marks)} other marks"
    )
    return Drawing(
        told,
        option,
        ("Time", "Kind", "What"),
        [[time, kind, {"text": text, "link": link} if link else text] for time, kind, text, link in rows],
        zoom=True,
        height=height,
        notes=found.notes,
        shows=[each.title for each in found.statistics],
        in_pieces=True,
    )


def _curves_panel(shown: Curves, height: int, zone: str, behind: Happenings | None, colour: int = 0) -> Panel:
    curves = list(shown.curves)[:_MOST_SERIES]
    series: list[dict[str, Any]] = [
        {
            "type": "line",
            "name": each.name,
            "data": _points(each, zone),
            "color": series_colour(colour + number),
            "showSymbol": len(each.points) <= _FEW_POINTS,
            "symbolSize": 4,
            "lineStyle": {"width": 1.8 if behind else 1.3},
            "emphasis": {"disabled": True},
        }
        for number, each in enumerate(curves)
    ]
    if behind and series and behind.window.end_ms is not None:
        series[0]["markArea"] = {
            "silent": True,
            "data": list(_areas(behind.models, behind.window.end_ms, zone)),
        }
    left_out = len(shown.curves) - len(curves)
    note = shown.note + (f"; {left_out} more series" if left_out else "")
    named = [(each.name, series_colour(colour + number)) for number, each in enumerate(curves)]
    names = named[:_MOST_NAMES] if len(curves) > 1 else ()
    return Panel(shown.title, height, value_axis(splitNumber=3), series, note=note, names=names)


def _areas(models: Sequence[Bar], end_ms: int, zone: str) -> Iterator[list[dict[str, Any]]]:
    """Bands of the live models behind a curve, where one node has all of them."""
    if len({each.lane for each in models}) != 1:
        return
    for each in models:
        start, end = wall_ms((each.start_ms, end_ms if each.end_ms is None else each.end_ms), zone)
        style = {"color": each.colour, "opacity": 0.45}
        yield [{"xAxis": start, "itemStyle": style}, {"xAxis": end}]


def _points(curve: Curve, zone: str) -> list[list[Any]]:
    shown = thinned([(at_ms, finite(value)) for at_ms, value in curve.points])
    times = wall_ms((at_ms for at_ms, _ in shown), zone)
    return [[time, value] for time, (_, value) in zip(times, shown, strict=True)]


def _bar_rows(bars: Sequence[Bar], kind: str, zone: str) -> Iterator[tuple[str, str, str, str]]:
    for bar, at in zip(bars, wall_ms((bar.start_ms for bar in bars), zone), strict=True):
        yield wall_text(at), kind, bar.told, bar.link


def _mark_rows(marks: Sequence[Mark], zone: str) -> Iterator[tuple[str, str, str, str]]:
    for mark, at in zip(marks, wall_ms((mark.at_ms for mark in marks), zone), strict=True):
        yield wall_text(at), mark.lane, mark.told, mark.link


def statistic_curves(statistics: pd.DataFrame, width_ms: int) -> list[Curves]:
    """Panels of the ``statistics`` of a ``Timeline``: one a statistic, a curve a series."""
    panels = []
    for name, rows in statistics.groupby("statistic", sort=False):
        how = "sum" if rows["aggregation"].iloc[0] == "sum" else "mean"
        titles = [_title(node, labels) for node, labels in zip(rows["node_id"], rows["labels"], strict=True)]
        curves = [
            Curve(str(title), bucket_points(part, width_ms))
            for title, part in rows.groupby(titles, sort=False)
        ]
        panels.append(
            Curves(str(name), f"{how} of each bucket, {curves[0].name}" if len(curves) == 1 else how, curves)
        )
    return panels


def bucket_points(rows: pd.DataFrame, width_ms: int) -> list[tuple[int, float]]:
    """Values of buckets at their middles."""
    return [
        (round(time.timestamp() * 1000) + width_ms // 2, float(value))
        for time, value in zip(rows["time"], rows["value"], strict=True)
    ]


def _title(node_id: str, labels: Mapping[str, str]) -> str:
    return ", ".join([*(value for _, value in sorted(labels.items())), node_id or "no node"])
