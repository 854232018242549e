"""The panel of the timeline that shows what was decided about each new model: by its canary, and by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.plots.panels import place, show_lanes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from parallelm.mcenter.demo.figures import Figures

PROMOTED_INK, ROLLED_BACK_INK, REVIEW_INK = "#0f766e", "#b3391f", "#6b4fa0"
LANES = {"predict": "canary", "predict-jfk": "review for JFK"}
"""Node to what decides about its models."""
BEGINS = ("canary", "awaiting_approval")
MARKS = {
    ("predict", "requested"): ("^", PROMOTED_INK),
    ("predict", "rolled_back"): ("X", ROLLED_BACK_INK),
    ("predict-jfk", "requested"): ("o", REVIEW_INK),
    ("predict-jfk", "rejected"): ("X", ROLLED_BACK_INK),
}
"""Node and state of a decision to its mark."""


def draw_decisions(axes: Axes, figures: Figures) -> None:
    """One lane a node; a bar from the day on which a model came to the day on which it was decided."""
    for (node, model), rows in figures.decisions.frame.groupby(["node", "model"], sort=False):
        _draw_model(axes, list(LANES).index(str(node)), str(model), rows)
    show_lanes(axes, list(LANES.values()))


def _draw_model(axes: Axes, lane: int, model: str, rows: pd.DataFrame) -> None:
    begun = [row for row in _rows(rows) if row.state in BEGINS]
    decided = [row for row in _rows(rows) if (row.node, row.state) in MARKS]
    for start in begun:
        if start.state == "awaiting_approval":
            axes.plot(_at(start), lane, "o", mfc="white", mec=REVIEW_INK, markersize=5.5, zorder=3)
    for end in decided:
        mark, ink = MARKS[end.node, end.state]
        if begun:
            axes.plot(
                [_at(begun[0]), _at(end)],
                [lane, lane],
                color=ink,
                linewidth=4,
                alpha=0.45,
                solid_capstyle="butt",
            )
        axes.plot(_at(end), lane, mark, color=ink, markersize=8.5, zorder=4)
        axes.annotate(
            _words(end, model), (_at(end), lane), xytext=(0, -7), textcoords="offset points",
            ha="center", va="top", fontsize=7.5, color=ink,
        )  # fmt: skip


def _words(end: Any, model: str) -> str:
    """Who decided, or which month's model it was."""
    if end.who:
        return f"{end.who}: {model}"
    return f"{model}\nrolled back" if end.state == "rolled_back" else model


def _at(row: Any) -> float:
    return place(row.at)


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))
