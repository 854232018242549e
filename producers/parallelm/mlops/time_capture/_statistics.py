"""Statistics of a capture: each row of ``mlopsdb-Ion-stats-….csv`` as keys and values, by its graph type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats_category import StatGraphType
from parallelm.mlops.time_capture._tables import STATISTICS, read_rows, with_datetime

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

COLUMNS: Final = ["Name", "time", "datetime", "keys", "values", "FileName"]
PARTS: Final = ("bargraph", "multilinegraph", "heatmap", "multigraph", "matrix", "KPI")
"""Graph types that ``save_to_output`` writes for each file of statistics."""
_PART_OF = {
    StatGraphType.BARGRAPH: "bargraph",
    StatGraphType.HISTOGRAM: "bargraph",
    StatGraphType.LINEGRAPH: "multilinegraph",
    StatGraphType.MULTILINEGRAPH: "multilinegraph",
    StatGraphType.HEATMAP: "heatmap",
    StatGraphType.GENERAL_GRAPH: "multigraph",
    StatGraphType.MATRIX: "matrix",
    StatGraphType.TABLE: "matrix",
    StatGraphType.KPI: "KPI",
    StatGraphType.OPAQUE: "opaque",
    StatGraphType.HTML: "opaque",
    StatGraphType.VECTOR: "opaque",
}
_OF_ROW = ["Name", "keys", "values", "statistic", "part", "time", "node", "agent", "FileName"]


def read_statistics(files: list[Path]) -> pd.DataFrame:
    """``COLUMNS`` and, for the filters, ``statistic, part, node, agent`` of all files, in order of time."""
    import pandas as pd

    rows = [
        found for file in files for row in read_rows(file, STATISTICS) for found in _of_row(row, file.name)
    ]
    frame = with_datetime(pd.DataFrame(rows, columns=_OF_ROW, dtype=object), "mlopsdb-Ion-stats")
    return frame.sort_values("time", kind="stable", ignore_index=True)


def _of_row(row: dict[str, str], file_name: str) -> list[dict[str, Any]]:
    where = f"{file_name}: statistic {row['name']!r} of time {row['time']}"
    try:
        part = _PART_OF[StatGraphType(row["graphType"])]
        time_ns = int(row["time"])
    except (KeyError, ValueError) as error:
        known = ", ".join(_PART_OF)
        reason = "its time is not a number" if row["graphType"] in _PART_OF else f"known graph types: {known}"
        raise MLOpsException(f"{where} has graph type {row['graphType']!r}; {reason}") from error
    place = {
        "statistic": row["name"],
        "part": part,
        "time": time_ns,
        "node": row["pipelineInstanceId"],
        "agent": row["agentName"],
        "FileName": file_name,
    }
    try:
        graphs = _graphs(part, row["name"], row["value"])
    except (ValueError, TypeError, AttributeError) as error:
        raise MLOpsException(f"{where} has a value that is not a {row['graphType']}: {error}") from error
    return [{"Name": name, "keys": keys, "values": values} | place for name, keys, values in graphs]


def _graphs(part: str, name: str, text: str) -> list[tuple[str, list[Any], list[Any]]]:
    """Name, keys and values of each graph in one row: one graph, or several histograms with their own names."""
    if part == "opaque":
        return [(name, [name], [_opaque(text)])]
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("it must be a JSON object")
    if part == "bargraph" and value and all(isinstance(bars, list) for bars in value.values()):
        return [
            (
                name if len(value) == 1 else feature,
                [key for bar in bars for key in bar],
                [height for bar in bars for height in bar.values()],
            )
            for feature, bars in value.items()
        ]
    return [(name, list(value), list(value.values()))]


def _opaque(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
