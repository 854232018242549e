"""What all panels of a picture over time have in common: colours, frame, title, time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
KPI_INK, QUALITY_INK = "#1c6dd0", "#0f766e"
SERIES_INKS = (QUALITY_INK, "#b3391f", "#6b4fa0", "#d98200", "#1c6dd0", "#5b7083", "#8a6d3b", "#c2407f")
SEVERITY_INK = {"critical": "#c0392b", "warning": "#d98200", "info": "#5b7083"}
WIDTH_INCHES = 13
DPI = 140
_TITLE_INCHES = 0.6


def place(time: datetime) -> float:
    """Place on the time axis: days since the epoch."""
    return time.timestamp() / 86_400


def one_line(text: str, letters: int = 48) -> str:
    """A name as a picture can show it: on one line, cut with ``…``."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= letters else f"{line[: letters - 1]}…"


def style_panel(axes: Axes) -> None:
    """Bare frame, light grid."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=MUTED, length=0, labelsize=9)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def name_panel(axes: Axes, title: str, explanation: str) -> None:
    """Name the panel in its upper left corner, in room that is added above the data."""
    height_inches = axes.get_window_extent().height / DPI
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + (top - bottom) * _TITLE_INCHES / height_inches)
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
            parse_math=False,
        )


def show_lanes(axes: Axes, names: list[str]) -> None:
    """One line of the panel for each name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False)
