"""Two series against each other: one point a bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from parallelm.server.charts.drawing import Drawing, frame, nothing, value_axis

MOST_POINTS: Final = 2_000


def draw_scatter(
    pairs: Sequence[tuple[str, float, float]], *, across: str, up: str, notes: Sequence[str] = ()
) -> Drawing:
    """``(when, across, up)`` each; of very many evenly chosen ones."""
    if not pairs:
        return nothing("The two have no bucket in common.")
    step = -(-len(pairs) // MOST_POINTS)
    shown = pairs[::step]
    option = frame(
        xAxis=value_axis(across, nameLocation="middle", nameGap=26),
        yAxis=value_axis(up),
        tooltip={"trigger": "item", "confine": True},
        series=[
            {
                "type": "scatter",
                "symbolSize": 7,
                "itemStyle": {"color": "var(--series-1)", "opacity": 0.7},
                "data": [{"name": when, "value": [x, y]} for when, x, y in shown],
            }
        ],
    )
    option["grid"]["bottom"] = 26
    return Drawing(
        f"{len(shown)} points of {up} against {across}",
        option,
        ("Time", across, up),
        [(when, x, y) for when, x, y in pairs],
        height=380,
        notes=tuple(notes),
    )
