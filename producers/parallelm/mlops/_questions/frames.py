"""Converts rows of the warehouse to the frames that ``get_stats`` and similar calls return. Pure functions on frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from parallelm.mlops.stats.table import table_rows
from parallelm.schemas.times import floor_ms, time_ns
from parallelm.schemas.well_known import FEATURE_LABEL, LINE_LABEL

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

_RANGE = " to "
_PLACE = ["node", "agent"]


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts by column."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def epoch_ms(moment: datetime) -> int:
    """Epoch milliseconds of a time of a frame, of any year."""
    return floor_ms(time_ns(moment))


def samples_frame(samples: pd.DataFrame) -> pd.DataFrame:
    """Numbers: ``time, value``, or ``time, <line>…`` for multi-line graphs and ``time, <feature>…`` for drift; always with ``node, agent``."""
    import pandas as pd

    if samples.empty:
        return pd.DataFrame(columns=["time", "value", *_PLACE])
    frame = pd.DataFrame(
        {
            "time": samples["event_time"],
            "value": samples["value"],
            "node": samples["node_id"],
            "agent": samples["agent_id"],
        }
    )
    lines = [_column(labels.get(LINE_LABEL) or labels.get(FEATURE_LABEL, "")) for labels in samples["labels"]]
    if not any(lines):
        return frame.reset_index(drop=True)
    frame["line"] = lines
    # Reports with the same millisecond are distinguished by their order within each line.
    frame["turn"] = frame.groupby(["time", *_PLACE, "line"]).cumcount()
    wide = frame.pivot(index=["time", "turn", *_PLACE], columns="line", values="value")  # noqa: PD010 - no aggregate
    wide.columns.name = None
    return wide.reset_index("turn", drop=True).reset_index()[["time", *dict.fromkeys(lines), *_PLACE]]


def _column(line: str) -> str:
    """Column name of a line; the names of the time, node and agent columns are reserved."""
    return f"line {line}" if line in {"time", *_PLACE} else line


def structured_frame(reports: pd.DataFrame) -> pd.DataFrame:
    """Structured statistics of one name, by their graph type; always with ``node, agent``."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    report_of_row: list[int] = []
    for number, report in enumerate(records_of(reports)):
        place = {"node": report["node_id"], "agent": report["agent_id"]}
        found = _rows(report["graph_type"], report["content_type"], report["data"])
        rows += [{"time": None} | row | place for row in found]
        report_of_row += [number] * len(found)
    frame = pd.DataFrame(rows)
    if report_of_row:
        # Set as a column, not by row: pandas before 3 converts a list of times to nanoseconds, which end in 2262.
        frame["time"] = reports["event_time"].iloc[report_of_row].reset_index(drop=True)
    return frame


def _rows(graph_type: str, content_type: str, payload: Any) -> list[dict[str, Any]]:
    """One report's rows, without time, node and agent."""
    if graph_type == "MATRIX":
        return [
            {"row_name": name, "values": cells, "columns": columns}
            for name, columns, cells in table_rows(payload)
        ]
    data = _decoded(content_type, payload)
    if not isinstance(data, dict) or graph_type in {"OPAQUE", "HTML"}:
        return [{"data": data}]
    if graph_type == "BARGRAPH" and all(isinstance(bars, list) for bars in data.values()):
        return [_histogram_row(name, bars) for name, bars in data.items()]
    return [{_column(key): value for key, value in data.items()}]


def _decoded(content_type: str, payload: Any) -> Any:
    """The data that were reported. The warehouse returns bytes as text if they happen to be valid UTF-8."""
    if content_type == "application/octet-stream":
        return payload.encode() if isinstance(payload, str) else payload
    return json.loads(payload) if payload and content_type == "application/json" else payload or None


def _histogram_row(name: str, bars: list[dict[str, float]]) -> dict[str, Any]:
    keys = [key for bar in bars for key in bar]
    values = [value for bar in bars for value in bar.values()]
    continuous = bool(keys) and all(_RANGE in key for key in keys)
    edges: list[Any] = keys
    if continuous:
        ranges = [key.split(_RANGE, 1) for key in keys]
        edges = [_number(ranges[0][0]), *(_number(high) for _, high in ranges)]
    return {
        "hist_type": "continuous" if continuous else "categorical",
        "hist_values": values,
        "bin_edges": edges,
        "stat_name": name,
    }


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def distribution_frame(histograms: pd.DataFrame) -> pd.DataFrame:
    """Histograms that a model was trained on: ``stat_name, hist_type, hist_values, bin_edges, modelId, timestamp``."""
    import pandas as pd

    from parallelm.warehouse.queries import time_column

    bins = [
        list(row["edges"] if row["kind"] == "continuous" else row["categories"])
        for row in records_of(histograms)
    ]
    return pd.DataFrame(
        {
            "stat_name": histograms["feature"],
            "hist_type": histograms["kind"],
            "hist_values": [list(weights) for weights in histograms["weights"]],
            "bin_edges": bins,
            "modelId": histograms["model_id"],
            "timestamp": time_column(histograms["event_time"]),
        }
    )


def events_frame(events: pd.DataFrame, mlapp_name: str) -> pd.DataFrame:
    """Events: ``time, type, title, description, alert, data, node, agent, modelId, id``; data decoded where it is JSON.

    Also ``created, eventType, raiseAlert, host, name, ionName, msgType``, which components for the original library use.
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "time": events["event_time"],
            "type": events["type"],
            "title": events["title"],
            "description": events["description"],
            "alert": events["is_alert"],
            "data": [_decoded(row["content_type"], row["data"]) for row in records_of(events)],
            "node": events["node_id"],
            "agent": events["agent_id"],
            "modelId": events["model_id"],
            "id": events["event_id"],
            "created": [epoch_ms(moment) for moment in events["event_time"]],
            "eventType": events["type"],
            "raiseAlert": events["is_alert"],
            "host": events["agent_id"],
            "name": events["title"],
            "ionName": mlapp_name,
            "msgType": "UNKNOWN",
        }
    )
