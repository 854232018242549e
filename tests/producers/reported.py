"""Reports of a component, from stand-alone lines and from ClickHouse, in one comparable form."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.mlops.events.event_type import type_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.producers.conftest import ComponentOnPlatform

NUMERIC = {"LINEGRAPH", "MULTILINEGRAPH"}
_TIME_MS = "toUnixTimestamp64Milli(event_time)"


class Reported(NamedTuple):
    """One number, structured statistic, point of a KPI or event."""

    name: str
    line: str
    """Name of a multi-line graph's line; each line is one report."""
    kind: tuple[Any, ...]
    """Graph type and mode; type number and whether it is an alert."""
    time_ms: int
    data: Any
    """A number as the repr of its float64, so that NaN equals itself; anything else as decoded JSON."""
    model_id: str = ""
    """Empty stand-alone."""

    @property
    def content(self) -> tuple[Any, ...]:
        """The fields, besides the time, that must be equal in both modes."""
        return (self.kind, self.data)


def by_series(reports: Iterable[Reported]) -> dict[tuple[str, str], list[Reported]]:
    """Each name's and line's reports, in order."""
    series = defaultdict(list)
    for one in reports:
        series[one.name, one.line].append(one)
    return series


def printed(lines: str) -> list[Reported]:
    """Reports of stand-alone lines."""
    return [one for line in lines.splitlines() for one in _of_line(line)]


def _of_line(line: str) -> list[Reported]:
    if not line.endswith(" "):
        number, title, is_alert, text = line.split(", ", 3)
        event = json.loads(text)
        data = (event["agent"], event["description"] or "", event["data"])
        return [Reported(title, "", (int(number), is_alert == "True"), event["timestamp_ms"], data)]
    time_ns, name, graph_type, mode, text = line[:-1].split(", ", 4)
    kind, time_ms = (graph_type, mode), int(time_ns) // 1_000_000
    if graph_type == "MATRIX":
        return [Reported(name, "", kind, time_ms, json.loads(text, object_pairs_hook=list))]
    names = {"nan": math.nan, "inf": math.inf}
    data = eval(text.removeprefix("OrderedDict"), names)  # noqa: S307 - our own lines
    if graph_type in NUMERIC:
        is_lines = graph_type == "MULTILINEGRAPH"
        return [
            Reported(name, label if is_lines else "", kind, time_ms, repr(float(value)))
            for label, value in data.items()
        ]
    kept = data[name] if graph_type in {"OPAQUE", "HTML"} else dict(data)
    return [Reported(name, "", kind, time_ms, _as_json_has_it(kept))]


def _as_json_has_it(data: Any) -> Any:
    """JSON knows neither NaN nor infinities: they are texts there."""
    if isinstance(data, float) and not math.isfinite(data):
        return "NaN" if math.isnan(data) else "Infinity" if data > 0 else "-Infinity"
    if isinstance(data, dict):
        return {key: _as_json_has_it(value) for key, value in data.items()}
    return [_as_json_has_it(value) for value in data] if isinstance(data, list) else data


def arrived(platform: ComponentOnPlatform, node: str, expected: Iterable[Reported]) -> list[Reported]:
    """What a node's rows say, once there are as many as expected of each sort."""
    wanted = Counter(_table(one) for one in expected)
    where = f"WHERE node_id = '{node}' ORDER BY _partition, _offset"
    numbers = platform.rows(
        f"""SELECT * FROM (
                SELECT name, if(mapContains(labels, 'line'), labels['line'], labels['feature']), graph_type, if(category = 'CONFIG', 'INSTANT', category), {_TIME_MS},
                       value, model_id FROM statistics {where}, _series, _index
            ) UNION ALL SELECT * FROM (
                SELECT name, '', 'LINEGRAPH', 'TIME_SERIES', {_TIME_MS}, value, model_id FROM kpis {where}, _index
            )""",
        lambda rows: len(rows) >= wanted["statistics"],
    )
    structured = platform.rows(
        f"""SELECT name, graph_type, mode, {_TIME_MS}, content_type, data, model_id
            FROM structured_statistics {where}""",
        lambda rows: len(rows) >= wanted["structured_statistics"],
    )
    events = platform.rows(
        f"""SELECT title, type, is_alert, {_TIME_MS}, agent_id, description, content_type, data, model_id
            FROM events {where}""",
        lambda rows: len(rows) >= wanted["events"],
    )
    return [
        *(
            Reported(name, line, (graph_type, mode), at_ms, repr(value), model_id)
            for name, line, graph_type, mode, at_ms, value, model_id in numbers
        ),
        *(
            Reported(name, "", (graph_type, mode), at_ms, _payload(graph_type, content_type, data), model_id)
            for name, graph_type, mode, at_ms, content_type, data, model_id in structured
        ),
        *(
            Reported(
                title,
                "",
                (type_number(kind), is_alert),
                at_ms,
                (agent_id, description, _event_data(content_type, data)),
                model_id,
            )
            for title, kind, is_alert, at_ms, agent_id, description, content_type, data, model_id in events
        ),
    ]


def _table(report: Reported) -> str:
    if isinstance(report.kind[0], int):
        return "events"
    return "statistics" if report.kind[0] in NUMERIC else "structured_statistics"


def _payload(graph_type: str, content_type: str, data: str | bytes) -> Any:
    if content_type == "application/json":
        return json.loads(data, object_pairs_hook=list if graph_type == "MATRIX" else None)
    # The driver gives text where the bytes are UTF-8.
    return data.encode() if content_type == "application/octet-stream" and isinstance(data, str) else data


def _event_data(content_type: str, data: str | bytes) -> Any:
    if content_type == "application/json":
        return json.loads(data) if data else None
    return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
