"""What has arrived since a moment: for pages that show it as it comes. Reads the log of the sinks, not the tables themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from parallelm.warehouse.queries._frames import records

if TYPE_CHECKING:
    from parallelm.connections import Settings

KINDS: Final = {
    "statistics": "statistics",
    "structured_statistics": "statistics",
    "alert_transitions_log": "alerts",
    "deployments_log": "deployments",
    "models_log": "models",
    "events": "events",
    "kpis": "kpis",
    "actions": "actions",
    "mlapps": "mlapps",
}
"""What the rows of a table are to a page."""
_BLOCKS: Final = """
SELECT table_name, min(first_ingested_at) AS first, max(inserted_at) AS latest
FROM ingested_blocks
WHERE inserted_at > %(since)s AND rows > 0
GROUP BY table_name
"""
_MLAPPS: Final = "SELECT DISTINCT mlapp_id FROM {table} WHERE {column} >= %(first)s"


@dataclass(frozen=True, slots=True)
class Changes:
    """New rows."""

    until: datetime
    """Ask from here the next time."""
    found: frozenset[tuple[str, str]]
    """``(kind, mlapp_id)``."""


def latest_arrival(settings: Settings) -> datetime:
    """When the sinks inserted last; the beginning of time where they have not."""
    [latest] = records(settings, "SELECT max(inserted_at) AS moment FROM ingested_blocks", {})
    moment: datetime = latest["moment"]
    return moment.replace(tzinfo=UTC)


def changes_since(settings: Settings, since: datetime) -> Changes:
    """What the sinks have inserted after ``since``."""
    until, found = since, set[tuple[str, str]]()
    for block in records(settings, _BLOCKS, {"since": _text(since)}):
        until = max(until, block["latest"].replace(tzinfo=UTC))
        if kind := KINDS.get(block["table_name"]):
            # Samples are many: their rollup has a row a series and day.
            is_samples = block["table_name"] == "statistics"
            table = "statistics_by_day_state" if is_samples else block["table_name"]
            column = "last_ingested_at" if is_samples else "ingested_at"
            query = _MLAPPS.format(table=table, column=column)
            rows = records(settings, query, {"first": _text(block["first"])})
            found |= {(kind, row["mlapp_id"]) for row in rows}
    return Changes(until, frozenset(found))


def _text(moment: datetime) -> str:
    """With milliseconds, which the driver's own form of a parameter lacks."""
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"
