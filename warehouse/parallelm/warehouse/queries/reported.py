"""What an MLApp has reported: which statistics there are, by whom and of what kind, and the latest report of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parallelm.warehouse.queries._frames import Conditions, records
from parallelm.warehouse.queries._known_at import knows_everything

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore

NUMBERS: Final = "LINEGRAPH"
"""Kind of what is reported as numbers."""
_REPORTS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedStatistic:
    """One statistic of one node."""

    node_id: str
    name: str
    kind: str
    """``LINEGRAPH`` for numbers, else the graph type of the reports: ``MATRIX``, ``BARGRAPH``, …"""
    agents: Sequence[str]
    models: Sequence[str]
    """Models that it is about."""
    series: int
    """Of numbers; of others the reports."""
    first_time: datetime
    """Of numbers the start of the day."""
    last_time: datetime
    features: Sequence[str] = field(default=())
    """Whose histograms it holds."""


def reported_statistics(
    settings: Settings,
    mlapp_id: str,
    *,
    node_id: str | None = None,
    agent_id: str | None = None,
    model_id: str | None = None,
    search: str | None = None,
) -> list[ReportedStatistic]:
    """By node and name. Numbers are looked up in the rollup by day, so that a long history costs little."""
    where = Conditions().equal(mlapp_id=mlapp_id, node_id=node_id, agent_id=agent_id, model_id=model_id)
    where.containing(search, "name")
    source, time = (
        ("statistics_by_day_state", "bucket_start")
        if knows_everything(settings)
        else ("statistics", "event_time")
    )
    numbers = records(
        settings,
        f"""
        SELECT node_id, name, '{NUMBERS}' AS kind, arraySort(groupUniqArray(50)(toString(agent_id))) AS agents,
               arraySort(groupUniqArrayIf(200)(toString(model_id), model_id != '')) AS models,
               uniq(model_id, agent_id, labels) AS series, min({time}) AS first_time, max({time}) AS last_time
        FROM {source} {where}
        GROUP BY node_id, name
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
    others = records(
        settings,
        f"""
        SELECT node_id, name, toString(graph_type) AS kind, arraySort(groupUniqArray(50)(toString(agent_id))) AS agents,
               arraySort(groupUniqArrayIf(200)(toString(model_id), model_id != '')) AS models,
               count() AS series, min(event_time) AS first_time, max(event_time) AS last_time,
               arraySort(groupUniqArrayArray(500)(histograms.feature)) AS features
        FROM structured_statistics {where}
        GROUP BY node_id, name, kind
        """,  # noqa: S608 - as above
        where.parameters,
    )
    found = [ReportedStatistic(**row) for row in numbers + others]
    return sorted(found, key=lambda each: (each.node_id, each.name, each.kind))


_BESIDES: Final = "AND (empty(%(besides)s) OR NOT startsWith(name, %(besides)s))"


def reported_span(settings: Settings, mlapp_id: str, *, besides: str = "") -> tuple[int, int] | None:
    """First event time of the MLApp's numbers, and the millisecond after the last; None when there are none.

    Statistics whose names begin with ``besides`` do not count.
    The rollup says which days these are, and the samples of the days when in them; as known at a moment the samples say all.
    """
    by_day = knows_everything(settings)
    source, time = ("statistics_by_day_state", "bucket_start") if by_day else ("statistics", "event_time")
    asked = {"mlapp_id": mlapp_id, "besides": besides}
    [row] = records(
        settings,
        f"""
        SELECT count() AS n, toUnixTimestamp64Milli(min({time})) AS first, toUnixTimestamp64Milli(max({time})) AS last
        FROM {source}
        WHERE mlapp_id = %(mlapp_id)s {_BESIDES}
        """,  # noqa: S608 - made of our own names; values are parameters
        asked,
    )
    if not row["n"]:
        return None
    if not by_day:
        return row["first"], row["last"] + 1
    [exact] = records(
        settings,
        f"""
        SELECT count() AS n, toUnixTimestamp64Milli(min(event_time)) AS first, toUnixTimestamp64Milli(max(event_time)) AS last
        FROM statistics
        WHERE mlapp_id = %(mlapp_id)s {_BESIDES} AND
        (
            event_time >= fromUnixTimestamp64Milli(toInt64(%(first)s), 'UTC')
                AND event_time < fromUnixTimestamp64Milli(toInt64(%(first)s) + 86400000, 'UTC')
            OR event_time >= fromUnixTimestamp64Milli(toInt64(%(last)s), 'UTC')
        )
        """,  # noqa: S608 - as above
        {**asked, **row},
    )
    if not exact["n"]:  # retention has removed the samples
        return row["first"], row["last"] + 86_400_000
    return exact["first"], exact["last"] + 1


def latest_report(
    settings: Settings,
    mlapp_id: str,
    name: str,
    *,
    node_id: str | None = None,
    agent_id: OneOrMore | None = None,
    model_id: str | None = None,
    labels: dict[str, str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> dict[str, Any] | None:
    """The latest report of a structured statistic: a row of ``structured_statistics``; None when there is none."""
    where = _reports(mlapp_id, name, node_id, agent_id, model_id, start, end, known_at).labels(labels)
    found = records(
        settings,
        f"""
        SELECT *
        FROM structured_statistics {where}
        ORDER BY event_time DESC, ingested_at DESC, _partition DESC, _offset DESC
        LIMIT 1
        """,  # noqa: S608 - as above
        where.parameters,
    )
    return found[0] if found else None


def report_times(
    settings: Settings,
    mlapp_id: str,
    name: str,
    *,
    node_id: str | None = None,
    agent_id: OneOrMore | None = None,
    model_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> list[datetime]:
    """Event times of the latest reports of a structured statistic, the latest first."""
    where = _reports(mlapp_id, name, node_id, agent_id, model_id, start, end, known_at)
    found = records(
        settings,
        f"""
        SELECT DISTINCT event_time FROM structured_statistics {where} ORDER BY event_time DESC LIMIT {_REPORTS}
        """,  # noqa: S608 - as above
        where.parameters,
    )
    return [row["event_time"] for row in found]


def reports(
    settings: Settings,
    mlapp_id: str,
    name: str,
    *,
    node_id: str | None = None,
    agent_id: OneOrMore | None = None,
    model_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> list[dict[str, Any]]:
    """``event_time, data`` of the latest reports of a structured statistic, in the order of time."""
    where = _reports(mlapp_id, name, node_id, agent_id, model_id, start, end, known_at)
    found = records(
        settings,
        f"""
        SELECT event_time, data
        FROM structured_statistics {where}
        ORDER BY event_time DESC, ingested_at DESC, _partition DESC, _offset DESC
        LIMIT {_REPORTS}
        """,  # noqa: S608 - as above
        where.parameters,
    )
    return found[::-1]


def _reports(
    mlapp_id: str,
    name: str,
    node_id: str | None,
    agent_id: OneOrMore | None,
    model_id: str | None,
    start: Time | None,
    end: Time | None,
    known_at: Time | None,
) -> Conditions:
    where = Conditions().equal(
        mlapp_id=mlapp_id, name=name, node_id=node_id, agent_id=agent_id, model_id=model_id
    )
    return where.between("event_time", start, end).known("ingested_at", known_at)
