"""One picture of the year: the KPI, which model was live, how well it did, and the alerts, on one time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from parallelm.mcenter.demo.decisions import draw_decisions
from parallelm.operations.plots.alert_lanes import AlertMark, draw_alerts, lanes_of
from parallelm.operations.plots.live_models import Band, name_bands, note, shade_bands
from parallelm.operations.plots.panels import (
    DPI,
    INK,
    KPI_INK,
    MUTED,
    QUALITY_INK,
    SEVERITY_INK,
    WIDTH_INCHES,
    name_panel,
    place,
    style_panel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

    from parallelm.mcenter.demo.figures import Figures

BROKEN_BAND, BROKEN_INK = "#fbe3dc", "#b3391f"
SMOOTHING_DAYS = 7


def draw_timeline(figures: Figures, path: Path) -> None:
    """Write ``path`` (PNG) from the frames that were read back from the warehouse."""
    from matplotlib.figure import Figure

    marks, bands = _marks(figures), _bands(figures)
    heights = (3.4, 2.0, 1.5, 0.7 + 0.32 * len(lanes_of(marks)))
    figure = Figure(
        figsize=(WIDTH_INCHES, 1.1 * sum(heights)), dpi=DPI, facecolor="white", layout="constrained"
    )
    kpi, quality, decisions, alerts = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    _time_axis(alerts, figures)
    for axes in (kpi, quality, decisions, alerts):
        style_panel(axes)
        shade_bands(axes, bands)
    name_bands(kpi, bands)
    for band in bands:
        if band.name == figures.broken_model:
            note(kpi, "trained on\nshuffled weather", (band.start + band.end) / 2, 0.0, 6, BROKEN_INK)
    _kpi(kpi, figures.kpi.frame)
    _quality(quality, figures)
    draw_decisions(decisions, figures)
    name_panel(
        decisions,
        "Decisions about models",
        "triangle: promoted; cross: rolled back; ring: waits for a person, disc: approved; bar: from the start to the decision",
    )
    draw_alerts(alerts, marks, place(figures.end))
    name_panel(
        alerts,
        "Alerts",
        "diamond: fired; ring: resolved by itself; disc: settled by a new model; pale: silenced, nobody was told",
    )
    title = f"Flights from New York, {figures.start:%Y}: what was live, and how the business did"
    figure.suptitle(title, x=0.012, ha="left", fontsize=15, fontweight="bold", color=INK)
    figure.savefig(path)


def _bands(figures: Figures) -> list[Band]:
    return [
        Band(
            model.model,
            place(model.live_from),
            place(figures.end if pd.isna(model.live_to) else model.live_to),
            colour=BROKEN_BAND if model.model == figures.broken_model else "",
            ink=BROKEN_INK if model.model == figures.broken_model else MUTED,
        )
        for model in _rows(figures.deployments.frame)
    ]


def _marks(figures: Figures) -> list[AlertMark]:
    return [
        AlertMark(
            alert.alert,
            alert.severity,
            place(alert.started),
            place(alert.fired),
            None if pd.isna(alert.resolved) else place(alert.resolved),
            settled_by_new_model=alert.settled_by_new_model,
            silenced=not alert.told,
        )
        for alert in _rows(figures.alerts.frame)
    ]


def _kpi(axes: Axes, kpi: pd.DataFrame) -> None:
    days, share = kpi["day"].map(place), kpi["value"] * 100
    smooth = share.rolling(SMOOTHING_DAYS, center=True, min_periods=1).mean()
    axes.plot(days, share, ".", color=KPI_INK, markersize=4, alpha=0.35)
    axes.plot(days, smooth, color=KPI_INK, linewidth=2.2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    name_panel(axes, "On-time rate", "the KPI, uploaded weekly, by day; line: mean of seven days")


def _quality(axes: Axes, figures: Figures) -> None:
    for model, days in figures.quality.frame.groupby("model", sort=False):
        ink = BROKEN_INK if model == figures.broken_model else QUALITY_INK
        axes.plot(days["day"].map(place), days["value"], ".-", color=ink, linewidth=2)
    threshold = figures.quality.frame["threshold"].iloc[0]
    axes.axhline(threshold, color=SEVERITY_INK["critical"], linewidth=1, linestyle=(0, (4, 3)))
    name_panel(
        axes,
        "AUC of each live model",
        "by week of its predictions, once the flights have arrived; dashed: threshold of the alert",
    )


def _time_axis(axes: Axes, figures: Figures) -> None:
    axes.set_xlim(place(figures.start), place(figures.end))
    months = pd.date_range(figures.start, figures.end, freq="MS")
    axes.set_xticks([place(month) for month in months], [f"{month:%b}" for month in months], ha="left")


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows with their columns as attributes."""
    return frame.itertuples(index=False)
