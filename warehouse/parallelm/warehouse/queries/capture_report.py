"""What the report of a timeline capture shows: few enough rows for a page, whatever the range holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import records
from parallelm.warehouse.queries.captures import CAPTURE_TABLES, END, IN_RANGE, SERIES, START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.warehouse.queries.captures import CaptureRange


def bucketed_samples(
    settings: Settings, chosen: CaptureRange, series: Sequence[int], width_ms: int
) -> list[dict[str, Any]]:
    """Finite samples of these series by bucket: ``series, bucket, n, mean, minimum, maximum``; buckets count from the start."""
    return records(
        settings,
        f"""
        SELECT {SERIES} AS series, intDiv(toUnixTimestamp64Milli(event_time) - %(start_ms)s, %(width_ms)s) AS bucket,
            count() AS n, avg(value) AS mean, min(value) AS minimum, max(value) AS maximum
        FROM statistics WHERE {IN_RANGE} AND isFinite(value) AND series IN %(series)s
        GROUP BY series, bucket ORDER BY series, bucket
        """,  # noqa: S608 - made of our own names; values are parameters
        chosen.parameters | {"series": tuple(series), "width_ms": width_ms},
    )


def bucketed_kpis(
    settings: Settings, chosen: CaptureRange, width_ms: int, series: int
) -> list[dict[str, Any]]:
    """KPIs by their latest revision, so many series of most points: ``name, labels, bucket, mean, minimum, maximum, points``."""
    return records(
        settings,
        f"""
        WITH current AS (
            SELECT name, labels, event_time, argMax(revision.value, place) AS value
            FROM (SELECT *, (ingested_at, _partition, _offset, _index) AS place FROM kpis WHERE {IN_RANGE}) AS revision
            GROUP BY name, labels, event_time
            HAVING NOT argMax(withdrawn, place) AND isFinite(value)
        )
        SELECT name, labels, intDiv(toUnixTimestamp64Milli(event_time) - %(start_ms)s, %(width_ms)s) AS bucket,
            avg(value) AS mean, min(value) AS minimum, max(value) AS maximum, count() AS points
        FROM current
        WHERE (name, toString(labels)) IN (
            SELECT name, toString(labels) FROM current GROUP BY name, labels
            ORDER BY length(labels), count() DESC, name LIMIT %(series)s
        )
        GROUP BY name, labels, bucket ORDER BY length(labels), name, toString(labels), bucket
        """,  # noqa: S608 - as above
        chosen.parameters | {"width_ms": width_ms, "series": series},
    )


def deployments_between(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """Rows of ``deployments_current`` that were decided or live in the range, by node and time."""
    return records(
        settings,
        f"""
        SELECT * FROM deployments_current
        WHERE mlapp_id = %(mlapp_id)s AND decided_at < {END}
            AND (decided_at >= {START} OR (live_from < {END} AND (live_to IS NULL OR live_to >= {START})))
        ORDER BY node_id, decided_at, attempt
        """,  # noqa: S608 - as above
        chosen.parameters,
    )


def alerts_between(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """Rows of ``alerts_current`` that fired and were open in the range, by time."""
    return records(
        settings,
        f"""
        SELECT * FROM alerts_current
        WHERE mlapp_id = %(mlapp_id)s AND fired_at < {END} AND (resolved_at IS NULL OR resolved_at >= {START})
        ORDER BY fired_at
        """,  # noqa: S608 - as above
        chosen.parameters,
    )


_SHORT = "substringUTF8({0}, 1, 500) AS {0}"
_SHOWN = {
    "events": (
        "event_time",
        "type",
        "node_id",
        "agent_id",
        "is_alert",
        *map(_SHORT.format, ("title", "description")),
    ),
    "actions": ("event_time", "who", "action", "node_id", "model_id", "target", _SHORT.format("comment")),
    "models": ("event_time", "name", "model_id", "node_id", "format"),
}


def first_rows(
    settings: Settings, table: str, chosen: CaptureRange, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """The first rows of ``events``, ``actions`` or ``models`` in the range, and how many there are of them."""
    found = records(
        settings,
        f"""
        SELECT {", ".join(_SHOWN[table])}, count() OVER () AS counted
        FROM {table} WHERE {IN_RANGE} ORDER BY event_time LIMIT %(limit)s
        """,  # noqa: S608 - as above
        chosen.parameters | {"limit": limit},
    )
    return found, found[0]["counted"] if found else 0


def definitions_between(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """Definitions of the MLApp that were in force in the range, by time, without removals."""
    (mlapps,) = (table for table in CAPTURE_TABLES if table.name == "mlapps")
    return records(
        settings,
        f"SELECT * FROM mlapps WHERE ({mlapps.where}) AND NOT is_deleted ORDER BY ingested_at, _offset",  # noqa: S608 - as above
        chosen.parameters,
    )


def kpi_revision_counts(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """How many rows each KPI has, revisions and withdrawals included: ``name, rows, withdrawn``."""
    return records(
        settings,
        f"SELECT name, count() AS rows, countIf(withdrawn) AS withdrawn FROM kpis WHERE {IN_RANGE} GROUP BY name ORDER BY name",  # noqa: S608 - as above
        chosen.parameters,
    )


def structured_reports(settings: Settings, chosen: CaptureRange) -> list[dict[str, Any]]:
    """Tables, graphs and histograms of the range: ``name, node_id, graph_type, reports, first, last``."""
    return records(
        settings,
        f"""
        SELECT name, node_id, graph_type, count() AS reports, min(event_time) AS first, max(event_time) AS last
        FROM structured_statistics WHERE {IN_RANGE}
        GROUP BY name, node_id, graph_type ORDER BY name, node_id
        """,  # noqa: S608 - as above
        chosen.parameters,
    )
