"""What a timeline capture holds: the rows of an MLApp in a range of event time, table by table, as they were known at a time.

Rows come in the order in which Kafka took their records, so that they can be sent again in it. Of deployments, alerts,
definitions and models those come along that were there when the range began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._blocks import BLOCK_ROWS, Block, blocks
from parallelm.warehouse.queries._frames import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.connections import Settings

_BLOCK_BYTES, _LARGEST_BLOCK_BYTES = 4_000_000, 48_000_000
"""What the rows of a block take on the server: usually, and when each were the largest of its table. Here they take more."""
_SORT_BYTES = 300_000_000
"""A sort or a GROUP BY that needs more memory goes over the server's disk."""
SPILL = f"SETTINGS max_bytes_before_external_sort = {_SORT_BYTES}, max_bytes_before_external_group_by = {_SORT_BYTES}"
SERIES = "sipHash64(name, node_id, pipeline_instance_id, agent_id, model_id, category, graph_type, toString(labels))"
START, END, KNOWN_AT = (
    f"fromUnixTimestamp64Milli(toInt64(%({name})s), 'UTC')" for name in ("start_ms", "end_ms", "known_at_ms")
)
IN_RANGE = (
    f"mlapp_id = %(mlapp_id)s AND event_time >= {START} AND event_time < {END} AND ingested_at <= {KNOWN_AT}"
)
_UNTIL_END = f"mlapp_id = %(mlapp_id)s AND event_time < {END} AND ingested_at <= {KNOWN_AT}"
_DEPLOYED = f"""
    SELECT deployment_id FROM deployment_transitions WHERE {_UNTIL_END} GROUP BY deployment_id
    HAVING max(event_time) >= {START}
        OR (countIf(state = 'active') > 0 AND countIf(state IN ('superseded', 'rolled_back', 'removed')) = 0)
        OR argMax(state, (ingested_at, _partition, _offset)) IN ('held', 'awaiting_approval', 'canary', 'requested', 'accepted')
"""  # noqa: S608 - made of our own names; values are parameters
_DEPLOYED_MODELS = f"""
    SELECT model_id FROM deployment_transitions WHERE {_UNTIL_END} AND deployment_id IN ({_DEPLOYED})
"""  # noqa: S608 - as above
_RAISED = f"""
    SELECT alert_id FROM alert_transitions WHERE {_UNTIL_END} GROUP BY alert_id
    HAVING max(event_time) >= {START}
        OR argMax(state, (ingested_at, _partition, _offset)) NOT IN ('resolved', 'inactive')
"""  # noqa: S608 - as above
_RUNNING = f"""
    SELECT run_id FROM run_transitions WHERE {_UNTIL_END} AND run_id != '' GROUP BY run_id
    HAVING max(event_time) >= {START}
        OR argMax(state, (ingested_at, _partition, _offset)) NOT IN ('succeeded', 'failed', 'stopped', 'missed', 'lost')
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRange:
    """What a capture is of."""

    mlapp_id: str
    start_ms: int
    """First millisecond of event time."""
    end_ms: int
    """The one after the last."""
    known_at_ms: int
    """What arrived later is left out."""

    @property
    def parameters(self) -> dict[str, Any]:
        """For the conditions on it."""
        return {
            "mlapp_id": self.mlapp_id,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "known_at_ms": self.known_at_ms,
        }


@dataclass(frozen=True, slots=True)
class CaptureTable:
    """A table of which a capture holds rows."""

    name: str
    """Of the table or view."""
    where: str = IN_RANGE
    place: str = "_topic, _partition, _offset"
    """Order of rows that arrived at one time."""


CAPTURE_TABLES: tuple[CaptureTable, ...] = (
    CaptureTable(
        "mlapps",
        f"""{_UNTIL_END} AND event_time >= (
            SELECT max(event_time) FROM mlapps WHERE mlapp_id = %(mlapp_id)s AND event_time <= {START}
        ) OR mlapp_id = %(mlapp_id)s AND event_time >= {END} AND ingested_at <= {KNOWN_AT} AND (event_time, _offset) IN (
            SELECT min((event_time, _offset)) FROM mlapps WHERE mlapp_id = %(mlapp_id)s
        )""",  # noqa: S608 - as above
    ),
    CaptureTable(
        "models",
        f"{_UNTIL_END} AND (event_time >= {START} OR model_id IN ({_DEPLOYED_MODELS}))",
    ),
    CaptureTable("events"),
    CaptureTable("actions"),
    CaptureTable("kpis", place="_topic, _partition, _offset, _index"),
    CaptureTable("alert_transitions", f"{_UNTIL_END} AND alert_id IN ({_RAISED})"),
    CaptureTable("deployment_transitions", f"{_UNTIL_END} AND deployment_id IN ({_DEPLOYED})"),
    CaptureTable(
        "run_transitions",
        f"{_UNTIL_END} AND (run_id = '' AND event_time >= {START} OR run_id IN ({_RUNNING}))",
    ),
    CaptureTable("structured_statistics"),
    CaptureTable("histograms", place="_topic, _partition, _offset, _index"),
    CaptureTable("predictions", place="_topic, _partition, _offset, _index"),
    CaptureTable("actuals", place="_topic, _partition, _offset, _index"),
    CaptureTable(
        "agents",
        f"has(pipelines.mlapp_id, %(mlapp_id)s) AND event_time >= {START} AND event_time < {END} "
        f"AND ingested_at <= {KNOWN_AT}",
    ),
)
"""All but ``statistics``, whose texts are read once a series: ``capture_series`` and ``capture_samples``."""


def capture_rows(settings: Settings, table: CaptureTable, chosen: CaptureRange) -> Iterator[Block]:
    """Rows of a table, all columns. Times are epoch milliseconds; ``kinds`` still says that they are times."""
    columns = capture_columns(settings, table.name)
    names, kinds = zip(*columns, strict=True)
    query = f"""
        SELECT {", ".join(_milliseconds(name, kind) for name, kind in columns)}
        FROM (
            SELECT * FROM {table.name} WHERE {table.where}
            ORDER BY ingested_at, {table.place}
        )
        {SPILL}
    """  # noqa: S608 - made of our own names; values are parameters
    for block in blocks(settings, query, chosen.parameters, rows=block_rows(settings, table, chosen)):
        yield Block(names, kinds, block.columns)


def block_rows(settings: Settings, table: CaptureTable, chosen: CaptureRange) -> int:
    """Rows of a block that stays small, whatever payloads and features the table's rows hold."""
    [row] = records(
        settings,
        f"SELECT avg(byteSize(*)) AS usual, max(byteSize(*)) AS most FROM {table.name} WHERE {table.where}",  # noqa: S608 - as above
        chosen.parameters,
    )
    if not row["most"]:
        return BLOCK_ROWS
    return max(1, min(BLOCK_ROWS, int(_BLOCK_BYTES / row["usual"]), int(_LARGEST_BLOCK_BYTES / row["most"])))


def capture_columns(settings: Settings, table: str) -> list[tuple[str, str]]:
    """Columns of a table or view that a capture holds, with their types; those that follow from others are left out."""
    found = records(settings, f"DESCRIBE TABLE {table}", {})
    return [(row["name"], row["type"]) for row in found if not row["default_type"]]


def _milliseconds(name: str, kind: str) -> str:
    if kind.startswith("Array(DateTime64"):
        return f"arrayMap(moment -> toUnixTimestamp64Milli(moment), `{name}`)"
    return f"toUnixTimestamp64Milli(`{name}`)" if kind.startswith("DateTime64") else f"`{name}`"


def capture_series(
    settings: Settings, chosen: CaptureRange, numbers: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Series of the range: number, what all its samples share, how many there are, and what they amount to.

    Columns ``series, name, node_id, pipeline_instance_id, agent_id, model_id, category, graph_type, labels, samples, total,
    mean, minimum, maximum, last, first_ms, last_ms``; numbers are those of the finite samples. ``numbers`` limits them.
    """
    limited = "" if numbers is None else f"AND {SERIES} IN %(numbers)s"
    return records(
        settings,
        f"""
        SELECT series, any(sample.name) AS name, any(sample.node_id) AS node_id,
            any(sample.pipeline_instance_id) AS pipeline_instance_id, any(sample.agent_id) AS agent_id,
            any(sample.model_id) AS model_id, any(sample.category) AS category, any(sample.graph_type) AS graph_type,
            any(sample.labels) AS labels, count() AS samples,
            sumIf(value, isFinite(value)) AS total,
            if(countIf(isFinite(value)) = 0, nan, avgIf(value, isFinite(value))) AS mean,
            if(countIf(isFinite(value)) = 0, nan, minIf(value, isFinite(value))) AS minimum,
            if(countIf(isFinite(value)) = 0, nan, maxIf(value, isFinite(value))) AS maximum,
            if(countIf(isFinite(value)) = 0, nan, argMaxIf(value, event_time, isFinite(value))) AS last,
            toUnixTimestamp64Milli(min(event_time)) AS first_ms, toUnixTimestamp64Milli(max(event_time)) AS last_ms
        FROM (SELECT *, {SERIES} AS series FROM statistics WHERE {IN_RANGE} {limited}) AS sample
        GROUP BY series
        ORDER BY name, node_id, agent_id, series
        """,  # noqa: S608 - as above
        chosen.parameters | ({} if numbers is None else {"numbers": tuple(numbers)}),
    )


SAMPLE_COLUMNS = (
    "series", "event_time", "value", "producer_id", "seq", "ingested_at", "_topic", "_topic_id", "_partition", "_offset",
    "_series", "_index",
)  # fmt: skip


def capture_samples(settings: Settings, chosen: CaptureRange) -> Iterator[Block]:
    """Samples in the order in which Kafka took them: ``SAMPLE_COLUMNS``, times in epoch milliseconds."""
    query = f"""
        SELECT series, toUnixTimestamp64Milli(event_time), value, producer_id, seq,
            toUnixTimestamp64Milli(ingested_at), _topic, _topic_id, _partition, _offset, _series, _index
        FROM (
            SELECT {SERIES} AS series, event_time, value, producer_id, seq, ingested_at, _topic, _topic_id, _partition,
                _offset, _series, _index
            FROM statistics WHERE {IN_RANGE}
            ORDER BY ingested_at, _topic, _partition, _offset, _series, _index
        )
        {SPILL}
    """  # noqa: S608 - as above
    for block in blocks(settings, query, chosen.parameters):
        yield Block(SAMPLE_COLUMNS, block.kinds, block.columns)


def is_known_mlapp(settings: Settings, mlapp_id: str) -> bool:
    """Whether anything of it is stored."""
    tables = ("mlapps", "statistics", "structured_statistics", "events", "kpis", "models", "predictions")
    asked = " UNION ALL ".join(
        f"(SELECT 1 FROM {table} WHERE mlapp_id = %(mlapp_id)s LIMIT 1)"  # noqa: S608 - as above
        for table in tables
    )
    return bool(records(settings, f"SELECT * FROM ({asked}) LIMIT 1", {"mlapp_id": mlapp_id}))  # noqa: S608 - as above


def count_rows(settings: Settings, table: CaptureTable, chosen: CaptureRange) -> int:
    """Rows of a table that a capture holds."""
    [row] = records(
        settings,
        f"SELECT count() AS n FROM {table.name} WHERE {table.where}",  # noqa: S608 - as above
        chosen.parameters,
    )
    return int(row["n"])
