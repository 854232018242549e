"""Live models as bands over the time in which they were live, with their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.operations.plots.panels import MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

COLOURS = ("#eef4fb", "#dbe8f6")
"""Bands alternate between these two."""
_LETTERS_ACROSS = 170
"""Letters of a name that fit across a picture."""


@dataclass(frozen=True, slots=True)
class Band:
    """A model on a node, from ``start`` to ``end`` on the time axis."""

    name: str
    start: float
    end: float
    node: str = ""
    colour: str = ""
    """Instead of one of ``COLOURS``."""
    ink: str = MUTED


def shade_bands(axes: Axes, bands: Sequence[Band]) -> None:
    """Shade the whole height of a panel."""
    for number, band in enumerate(bands):
        axes.axvspan(band.start, band.end, color=band.colour or COLOURS[number % 2], linewidth=0, zorder=0)


def name_bands(axes: Axes, bands: Sequence[Band]) -> None:
    """Write the name of each band that has room for it above a panel whose time axis is set."""
    for band in bands:
        if _has_room(axes, band):
            note(axes, band.name, (band.start + band.end) / 2, 1.0, 4, band.ink)


def draw_nodes(axes: Axes, bands: Sequence[Band], nodes: Sequence[str]) -> None:
    """One lane a node, with the names of its models in it."""
    for lane, node in enumerate(nodes):
        for number, band in enumerate(each for each in bands if each.node == node):
            axes.barh(lane, band.end - band.start, left=band.start, height=0.8, color=COLOURS[number % 2])
            axes.plot([band.start] * 2, [lane - 0.4, lane + 0.4], color=MUTED, linewidth=0.8)
            if _has_room(axes, band):
                axes.text(
                    (max(band.start, axes.get_xlim()[0]) + min(band.end, axes.get_xlim()[1])) / 2,
                    lane,
                    band.name,
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color=band.ink,
                    parse_math=False,
                )


def note(axes: Axes, text: str, x: float, height: float, points_above: int, ink: str) -> None:
    """A line of text at a time, at a share of the panel's height."""
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
        parse_math=False,
    )


def _has_room(axes: Axes, band: Band) -> bool:
    first, last = axes.get_xlim()
    shown = min(band.end, last) - max(band.start, first)
    return shown / (last - first) * _LETTERS_ACROSS >= len(band.name)
