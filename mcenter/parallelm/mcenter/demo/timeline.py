"""One picture of the year: the KPI, which model was live, how well it did, and the alerts, on one time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from parallelm.mcenter.demo.decisions import draw_decisions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes

    from parallelm.mcenter.demo.figures import Figures

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BANDS = ("#eef4fb", "#dbe8f6")
"""Live models alternate between these two."""
BROKEN_BAND, BROKEN_INK = "#fbe3dc", "#b3391f"
KPI_INK, QUALITY_INK = "#1c6dd0", "#0f766e"
SEVERITY_INK = {"critical": "#c0392b", "warning": "#d98200", "info": "#5b7083"}
SMOOTHING_DAYS = 7
TITLE_INCHES = 0.6
DPI = 140


def draw_timeline(figures: Figures, path: Path) -> None:
    """Write ``path`` (PNG) from the frames that were read back from the warehouse."""
    from matplotlib.figure import Figure

    lanes = _lanes(figures.alerts.frame)
    heights = (3.4, 2.0, 1.5, 0.7 + 0.32 * len(lanes))
    figure = Figure(figsize=(13, 1.1 * sum(heights)), dpi=DPI, facecolor="white", layout="constrained")
    kpi, quality, decisions, alerts = figure.subplots(4, 1, sharex=True, height_ratios=heights)
    for axes in (kpi, quality, decisions, alerts):
        _style(axes)
        _model_bands(axes, figures)
    _model_names(kpi, figures)
    _kpi(kpi, figures.kpi.frame)
    _quality(quality, figures)
    draw_decisions(decisions, figures)
    _title(
        decisions,
        "Decisions about models",
        "triangle: promoted; cross: rolled back; ring: waits for a person, disc: approved; bar: from the start to the decision",
    )
    _alerts(alerts, figures, lanes)
    _time_axis(alerts, figures)
    title = f"Flights from New York, {figures.start:%Y}: what was live, and how the business did"
    figure.suptitle(title, x=0.012, ha="left", fontsize=15, fontweight="bold", color=INK)
    figure.savefig(path)


def _style(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=MUTED, length=0, labelsize=9)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _model_bands(axes: Axes, figures: Figures) -> None:
    for number, model in enumerate(_rows(figures.deployments.frame)):
        colour = BROKEN_BAND if model.model == figures.broken_model else BANDS[number % 2]
        axes.axvspan(*_live(model, figures), color=colour, linewidth=0, zorder=0)


def _model_names(axes: Axes, figures: Figures) -> None:
    for model in _rows(figures.deployments.frame):
        start, end = _live(model, figures)
        middle, broken = start + (end - start) / 2, model.model == figures.broken_model
        _note(axes, model.model, middle, 1.0, 4, BROKEN_INK if broken else MUTED)
        if broken:
            _note(axes, "trained on\nshuffled weather", middle, 0.0, 6, BROKEN_INK)


def _note(axes: Axes, text: str, x: Any, height: float, points_above: int, ink: str) -> None:
    axes.annotate(
        text,
        (x, height),
        xycoords=("data", "axes fraction"),
        xytext=(0, points_above),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8.5,
        color=ink,
    )


def _kpi(axes: Axes, kpi: pd.DataFrame) -> None:
    days, share = kpi["day"].map(_at), kpi["value"] * 100
    smooth = share.rolling(SMOOTHING_DAYS, center=True, min_periods=1).mean()
    axes.plot(days, share, ".", color=KPI_INK, markersize=4, alpha=0.35)
    axes.plot(days, smooth, color=KPI_INK, linewidth=2.2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    _title(axes, "On-time rate", "the KPI, uploaded weekly, by day; line: mean of seven days")


def _quality(axes: Axes, figures: Figures) -> None:
    for model, days in figures.quality.frame.groupby("model", sort=False):
        ink = BROKEN_INK if model == figures.broken_model else QUALITY_INK
        axes.plot(days["day"].map(_at), days["value"], color=ink, linewidth=2)
    threshold = figures.quality.frame["threshold"].iloc[0]
    axes.axhline(threshold, color=SEVERITY_INK["critical"], linewidth=1, linestyle=(0, (4, 3)))
    _title(
        axes, "AUC of the live model", "over its predictions of the last week; dashed: threshold of the alert"
    )


def _alerts(axes: Axes, figures: Figures, lanes: list[str]) -> None:
    named: set[int] = set()
    for alert in _rows(figures.alerts.frame):
        lane, ink = lanes.index(alert.alert), SEVERITY_INK.get(alert.severity, MUTED)
        started, fired, end = _at(alert.started), _at(alert.fired), _at(_until(alert.resolved, figures))
        axes.plot([started, fired], [lane, lane], color=ink, linewidth=2, alpha=0.4)
        axes.plot(
            [fired, end],
            [lane, lane],
            color=ink,
            linewidth=5,
            solid_capstyle="butt",
            alpha=0.8 if alert.told else 0.35,
        )
        axes.plot(fired, lane, marker="D", color=ink, markersize=5)
        if not alert.told and lane not in named:
            named.add(lane)
            axes.text(fired, lane - 0.18, "  silenced", color=ink, fontsize=7.5, va="bottom")
        if not pd.isna(alert.resolved):
            face = ink if alert.settled_by_new_model else "white"
            axes.plot(end, lane, "o", markerfacecolor=face, markeredgecolor=ink, markersize=6.5)
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.grid(visible=False)
    _title(
        axes,
        "Alerts",
        "diamond: fired; ring: resolved by itself; disc: settled by a new model; pale: silenced, nobody was told",
    )


def _title(axes: Axes, title: str, explanation: str) -> None:
    """Name the panel in its upper left corner, in room that is added above the data."""
    height_inches = axes.get_window_extent().height / DPI
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + (top - bottom) * TITLE_INCHES / height_inches)
    for text, below, size, weight, ink in (
        (title, -6, 11, "bold", INK),
        (explanation, -22, 8.5, "normal", MUTED),
    ):
        axes.annotate(
            text,
            (0, 1),
            xycoords="axes fraction",
            xytext=(5, below),
            textcoords="offset points",
            va="top",
            fontsize=size,
            fontweight=weight,
            color=ink,
            zorder=5,
        )


def _time_axis(axes: Axes, figures: Figures) -> None:
    axes.set_xlim(_at(figures.start), _at(figures.end))
    months = pd.date_range(figures.start, figures.end, freq="MS")
    axes.set_xticks([_at(month) for month in months], [f"{month:%b}" for month in months], ha="left")


def _lanes(alerts: pd.DataFrame) -> list[str]:
    """One line of the picture for each alert that fired, in the order of their first firing."""
    return [str(name) for name in alerts.sort_values("fired")["alert"].unique()]


def _live(model: Any, figures: Figures) -> tuple[float, float]:
    return _at(model.live_from), _at(_until(model.live_to, figures))


def _until(end: Any, figures: Figures) -> pd.Timestamp:
    """The end of something, or of the picture while it goes on."""
    return figures.end if pd.isna(end) else pd.Timestamp(end)


def _at(time: pd.Timestamp) -> float:
    """Place on the time axis: days since the epoch."""
    return time.timestamp() / 86_400


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows with their columns as attributes."""
    return frame.itertuples(index=False)
