"""What has arrived since a position: for pages that show it as it comes. Reads the log of the sinks before the tables.

A position is when a sink inserted its latest block, in milliseconds since 1970. The row of a block may come to be seen after
that of a later one, and the clocks of sinks differ a little: so each question looks back ``OVERLAP_MS`` behind its position,
and who must not hear of a block twice hands in the ids of those that he knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parallelm.warehouse.queries._frames import Conditions, records
from parallelm.warehouse.queries.agents import HOSTS_MLAPP

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from parallelm.connections import Settings

OVERLAP_MS: Final = 10_000
KINDS: Final = {
    "statistics": "statistics",
    "structured_statistics": "statistics",
    "alert_transitions_log": "alerts",
    "deployment_transitions_log": "deployments",
    "models_log": "models",
    "events": "events",
    "kpis": "kpis",
    "run_transitions_log": "runs",
    "agents": "agents",
    "actions": "actions",
    "mlapps": "mlapps",
}
"""What the rows of a table are to a page."""
_BLOCK_ID: Final = "concat(_topic_id, '/', toString(_partition), '/', toString(first_offset))"
_BLOCKS: Final = f"""
SELECT table_name, toUnixTimestamp64Milli(min(first_ingested_at)) AS first_ms,
       toUnixTimestamp64Milli(max(inserted_at)) AS latest_ms, max(fresh.1) AS is_new,
       minIf(toUnixTimestamp64Milli(first_ingested_at), fresh.1) AS first_new_ms,
       groupArrayIf(fresh.2, inserted_at > (SELECT max(inserted_at) FROM ingested_blocks) - toIntervalMillisecond(%(overlap_ms)s))
           AS ids
FROM (
    SELECT table_name, first_ingested_at, inserted_at, ({_BLOCK_ID} NOT IN %(told)s, {_BLOCK_ID}) AS fresh
    FROM ingested_blocks
    WHERE inserted_at > fromUnixTimestamp64Milli(toInt64(%(since_ms)s) - %(overlap_ms)s, 'UTC') AND rows > 0
)
GROUP BY table_name
"""  # noqa: S608 - made of our own column names; values are parameters
_SINCE: Final = "{column} >= fromUnixTimestamp64Milli(toInt64(%(first_ms)s), 'UTC')"
_MLAPPS: Final = f"SELECT DISTINCT mlapp_id FROM {{table}} WHERE {_SINCE}"  # noqa: S608 - as above
_OF_AGENTS: Final = (
    "(SELECT arrayJoin(arrayPushBack(pipelines.mlapp_id, '{hosts}')) AS mlapp_id, ingested_at FROM agents)"
)
"""An agent is of the MLApps whose pipelines are on it, and of the one that has the load of all hosts."""
_NO_BLOCK: Final = ("",)


@dataclass(frozen=True, slots=True)
class Changes:
    """New rows."""

    until_ms: int
    """Position from which to ask the next time."""
    found: frozenset[tuple[str, str]]
    """``(kind, mlapp_id)``."""
    blocks: frozenset[str] = field(default=frozenset())
    """Ids of those behind ``until_ms`` that the next question would find again."""


def latest_position(settings: Settings) -> int:
    """That of the latest block; 0 where there is none."""
    query = "SELECT toUnixTimestamp64Milli(max(inserted_at)) AS position_ms FROM ingested_blocks"
    [latest] = records(settings, query, {})
    return int(latest["position_ms"])


def changes_since(settings: Settings, since_ms: int, told: Collection[str] = ()) -> Changes:
    """What the sinks have inserted after a position, but for the blocks ``told``."""
    until_ms, found, blocks = since_ms, set[tuple[str, str]](), set[str]()
    for block in _blocks(settings, since_ms, told):
        until_ms = max(until_ms, block["latest_ms"])
        blocks |= set(block["ids"])
        kind = KINDS.get(block["table_name"])
        if not kind or not block["is_new"]:
            continue
        # Samples are many: their rollup has a row a series and day.
        table = {
            "statistics": "statistics_by_day_state",
            "agents": _OF_AGENTS.format(hosts=HOSTS_MLAPP),
        }.get(block["table_name"], block["table_name"])
        column = "last_ingested_at" if block["table_name"] == "statistics" else "ingested_at"
        query = _MLAPPS.format(table=table, column=column)
        rows = records(settings, query, {"first_ms": block["first_new_ms"]})
        found |= {(kind, row["mlapp_id"]) for row in rows}
    return Changes(until_ms, frozenset(found), frozenset(blocks))


@dataclass(frozen=True, slots=True)
class NewReports:
    """Statistics of which something has arrived."""

    until_ms: int
    """Position of the latest block that was looked for."""
    first_ms: Mapping[str, int]
    """Names, each with the earliest event time of what has arrived of it."""


def new_reports(settings: Settings, mlapp_id: str, names: Collection[str], since_ms: int) -> NewReports:
    """Of which of these statistics the sinks have inserted something after a position, late reports included."""
    until_ms, first_ms = since_ms, dict[str, int]()
    for block in _blocks(settings, since_ms, ()):
        until_ms = max(until_ms, block["latest_ms"])
        if KINDS.get(block["table_name"]) != "statistics":
            continue
        where = Conditions().equal(mlapp_id=mlapp_id, name=names)
        query = f"""
        SELECT name, toUnixTimestamp64Milli(min(event_time)) AS earliest_ms
        FROM {block["table_name"]} {where} AND {_SINCE.format(column="ingested_at")}
        GROUP BY name
        """  # noqa: S608 - made of our own names; values are parameters
        for row in records(settings, query, where.parameters | {"first_ms": block["first_ms"]}):
            first_ms[row["name"]] = min(row["earliest_ms"], first_ms.get(row["name"], row["earliest_ms"]))
    return NewReports(until_ms, first_ms)


def _blocks(settings: Settings, since_ms: int, told: Collection[str]) -> list[dict[str, Any]]:
    """A row a table."""
    parameters = {"since_ms": since_ms, "overlap_ms": OVERLAP_MS, "told": tuple(sorted(told)) or _NO_BLOCK}
    return records(settings, _BLOCKS, parameters)
