"""One picture of a KPI: its points, statistics, the live models as bands, and the alerts, on one time axis."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from matplotlib import dates
from matplotlib.figure import Figure

from parallelm.operations.plots.alert_lanes import AlertMark, draw_alerts, lanes_of
from parallelm.operations.plots.live_models import Band, draw_nodes, name_bands, shade_bands
from parallelm.operations.plots.panels import (
    DPI,
    INK,
    KPI_INK,
    MUTED,
    SERIES_INKS,
    WIDTH_INCHES,
    name_panel,
    one_line,
    place,
    show_lanes,
    style_panel,
)
from parallelm.warehouse.queries import Timeline, timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes

    from parallelm.connections import Settings

MOST_LINES = len(SERIES_INKS)
"""Series of one statistic that a panel shows."""
_SMOOTHING = 7
_TICKS = ["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
"""By the unit of the ticks: years, months, days, hours, minutes, seconds."""
_FIRST_TICKS = ["", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"]
"""The same of ticks that begin the next larger unit."""
_FEW = 28
"""Up to so many buckets the points themselves are joined."""


class TimelineFigure(Figure):
    """A figure that a notebook shows whether or not pyplot is in use."""

    def savefig(self, *arguments: Any, **options: Any) -> None:
        """Write the picture, as any figure; letters that the font lacks are shown as boxes, without a warning."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            super().savefig(*arguments, **options)

    def _repr_png_(self) -> bytes:
        written = io.BytesIO()
        self.savefig(written, format="png")
        return written.getvalue()


def plot_kpi(settings: Settings, kpi: str, **question: Any) -> TimelineFigure:
    """Draw a KPI with what happened beside it; ``question`` holds the options of ``parallelm.warehouse.queries.timeline``.

    Raises its errors. In a notebook the result is shown as it is; ``savefig`` writes it to a file.
    """
    return draw_timeline(timeline(settings, kpi, **question))


def draw_timeline(found: Timeline) -> TimelineFigure:
    """Draw what was read."""
    end = place(found.end)
    bands = _bands(found, end)
    nodes = list(dict.fromkeys(band.node for band in bands))
    alerts = _marks(found.alerts)
    names = list(dict.fromkeys(found.statistics["statistic"]))
    heights = [
        3.0,
        *[2.0] * len(names),
        *([0.7 + 0.32 * len(nodes)] if len(nodes) > 1 else []),
        0.7 + 0.32 * len(lanes_of(alerts)),
    ]
    figure = TimelineFigure(
        figsize=(WIDTH_INCHES, 1.1 * sum(heights) + 0.6), dpi=DPI, facecolor="white", layout="constrained"
    )
    panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    panels[0].set_xlim(place(found.start), end)
    for axes in panels:
        style_panel(axes)
        if len(nodes) == 1:
            shade_bands(axes, bands)
    _draw_points(panels[0], found)
    for axes, name in zip(panels[1:], names, strict=False):
        _draw_statistic(axes, name, found)
    if len(nodes) == 1:
        name_bands(panels[0], bands)
    elif nodes:
        draw_nodes(panels[-2], bands, nodes)
        show_lanes(panels[-2], nodes)
        name_panel(panels[-2], "Live models", "by node; a line where the model changed")
    _draw_alerts(panels[-1], alerts, end)
    _name_times(panels[-1], found.start, found.end)
    figure.suptitle(
        _heading(found, nodes),
        x=0.012,
        ha="left",
        fontsize=14,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )
    return figure


def _name_times(axes: Axes, start: pd.Timestamp, end: pd.Timestamp) -> None:
    """Ticks that say what they are by themselves, and the whole range with its year below them."""
    # matplotlib's dates have no types.
    locator = dates.AutoDateLocator(tz=start.tz)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = dates.ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator, tz=start.tz, formats=_TICKS, zero_formats=_FIRST_TICKS, show_offset=False
    )
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel(
        f"event time ({_zone(start)}), from {start:%d %b %Y} to {end:%d %b %Y}", color=MUTED, fontsize=9
    )


def _draw_points(axes: Axes, found: Timeline) -> None:
    times, values = _middles(found.points, found), found.points["value"]
    if len(values) <= _FEW:
        axes.plot(times, values, "o-", color=KPI_INK, markersize=4, linewidth=1.6)
        explanation = "the KPI"
    else:
        smooth = values.rolling(_SMOOTHING, center=True, min_periods=1).mean()
        axes.plot(times, values, ".", color=KPI_INK, markersize=4, alpha=0.35)
        axes.plot(times, smooth, color=KPI_INK, linewidth=2.2)
        explanation = f"the KPI; line: mean of {_SMOOTHING} buckets"
    name_panel(axes, one_line(found.kpi), explanation)


def _draw_statistic(axes: Axes, name: str, found: Timeline) -> None:
    """A line for each series: label sets and nodes are never taken together."""
    all_series = list(_series(found.statistics[found.statistics["statistic"] == name]))
    for (title, values), ink in zip(all_series, SERIES_INKS, strict=False):
        axes.plot(
            _middles(values, found),
            values["value"],
            ".-",
            color=ink,
            markersize=3,
            linewidth=1.2,
            label=title,
        )
    how = "sum" if all_series[0][1]["aggregation"].iloc[0] == "sum" else "mean"
    explanation = f"{how} of each bucket"
    if len(all_series) == 1:
        explanation += f"; {all_series[0][0]}"
    elif len(all_series) > MOST_LINES:
        explanation += f"; {MOST_LINES} of {len(all_series)} series are shown"
    name_panel(axes, one_line(name), explanation)
    if len(all_series) > 1:
        legend = axes.legend(loc="upper right", fontsize=7.5, ncols=4, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _draw_alerts(axes: Axes, alerts: list[AlertMark], end: float) -> None:
    draw_alerts(axes, alerts, end)
    if not alerts:
        show_lanes(axes, [""])
    name_panel(
        axes,
        "Alerts" if alerts else "No alert fired",
        "diamond: fired; ring: resolved by itself; disc: settled by a new model" if alerts else "",
    )


def _series(statistics: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Title and values of each series, in order."""
    titles = [
        ", ".join([*(f"{key}={value}" for key, value in sorted(labels.items())), f"node {node}"])
        for node, labels in zip(statistics["node_id"], statistics["labels"], strict=True)
    ]
    for title, values in statistics.groupby(titles, sort=False):
        yield one_line(str(title)), values


def _bands(found: Timeline, end: float) -> list[Band]:
    return [
        Band(
            one_line(row.model),
            max(place(row.live_from), place(found.start)),
            end if _is_missing(row.live_to) else min(place(row.live_to), end),
            one_line(row.node_id),
        )
        for row in _rows(found.models)
    ]


def _marks(alerts: pd.DataFrame) -> list[AlertMark]:
    return [
        AlertMark(
            one_line(_alert_name(row.rule, row.labels)),
            row.severity,
            place(row.started_at),
            place(row.fired_at),
            None if _is_missing(row.resolved_at) else place(row.resolved_at),
            settled_by_new_model=bool(row.settled_by_model_id),
            silenced=row.state == "silenced",
        )
        for row in _rows(alerts)
    ]


def _alert_name(rule: str, labels: dict[str, str]) -> str:
    shown = ", ".join(value for _, value in sorted(labels.items()))
    return f"{rule}: {shown}" if shown else rule


def _heading(found: Timeline, nodes: list[str]) -> str:
    models = f", models on {nodes[0]}" if len(nodes) == 1 else ""
    return f"{one_line(found.kpi)} of {one_line(found.mlapp_id)}{models} (times: {_zone(found.start)})"


def _zone(time: pd.Timestamp) -> str:
    return str(time.tz)


def _middles(values: pd.DataFrame, found: Timeline) -> list[float]:
    half = found.width / 2
    return [place(each + half) for each in values["time"]]


def _is_missing(time: Any) -> bool:
    return bool(time != time)  # noqa: PLR0124 - NaT differs from itself


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    return frame.itertuples(index=False)
