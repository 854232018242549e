"""Tables, matrices and heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from parallelm.operations.json_values import scalar_text
from parallelm.server.charts.drawing import Drawing, finite, frame, nothing

MOST_CELLS: Final = 2_500
_ROW_HEIGHT: Final = 22
_LEAST_HEIGHT: Final = 130
_LABELLED_COLUMNS: Final = 10
_LABELLED_CELLS: Final = 150


def draw_table(rows: Sequence[tuple[str, Sequence[str], Sequence[Any]]]) -> Drawing:
    """A reported table: row name, columns and cells of each row. All numbers, it is drawn as a matrix too."""
    if not rows:
        return nothing("The table has no rows.")
    columns = list(dict.fromkeys(column for _, names, _ in rows for column in names))
    named = any(name for name, _, _ in rows)
    body = []
    for name, names, cells in rows:
        found = dict(zip(names, cells, strict=False))
        body.append([*([name] if named else []), *(_cell(found.get(column)) for column in columns)])
    told = f"Table of {len(rows)} rows and {len(columns)} columns"
    return Drawing(told, None, (*(("Row",) if named else ()), *columns), body)


def draw_matrix(
    row_names: Sequence[str],
    column_names: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    told: str,
    bounds: tuple[float, float] | None = None,
    labelled: bool = True,
    low_is_bad: bool = False,
) -> Drawing:
    """A heat map, the first row on top."""
    cells = [
        [column, row, finite(value)]
        for row, line in enumerate(values)
        for column, value in enumerate(line)
        if finite(value) is not None
    ]
    if not cells:
        return nothing("There is nothing to show in this time.")
    numbers = [cell[2] for cell in cells if cell[2] is not None]
    low, high = bounds or (min(numbers), max(numbers))
    colours = ["var(--heat-low)", "var(--heat-middle)", "var(--heat-high)"]
    option = frame(
        tooltip={"trigger": "item", "confine": True, "valueFormatter": "short"},
        xAxis={
            "type": "category",
            "data": list(column_names),
            "axisLabel": {"hideOverlap": True},
            "position": "bottom",
        },
        yAxis={"type": "category", "data": list(row_names), "inverse": True},
        visualMap={
            "min": low,
            "max": high if high > low else low + 1,
            "calculable": False,
            "orient": "horizontal",
            "right": 10,
            "top": 0,
            "itemWidth": 10,
            "itemHeight": 110,
            "text": [f"{high:.3g}", f"{low:.3g}"],
            "inRange": {"color": colours[::-1] if low_is_bad else ["var(--heat-middle)", "var(--heat-low)"]},
        },
        series=[
            {
                "type": "heatmap",
                "data": cells[:MOST_CELLS],
                "label": {
                    "show": labelled
                    and len(column_names) <= _LABELLED_COLUMNS
                    and len(cells) <= _LABELLED_CELLS,
                    "formatter": "cell",
                },
                "itemStyle": {"borderColor": "var(--surface)", "borderWidth": 1},
            }
        ],
    )
    option["grid"]["top"] = 32
    rows = [[name, *(finite(value) for value in line)] for name, line in zip(row_names, values, strict=True)]
    height = max(_LEAST_HEIGHT, 60 + _ROW_HEIGHT * len(row_names))
    return Drawing(told, option, ("Row", *column_names), rows, height=height)


def _cell(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return finite(value) if finite(value) is not None else scalar_text(value)
    return value if isinstance(value, int | str) else scalar_text(value)
