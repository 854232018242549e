"""Agents: their state, and what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, records

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.warehouse.queries._frames import OneOrMore


def agent_states(settings: Settings, *, agent_id: OneOrMore | None = None) -> list[dict[str, Any]]:
    """Agents by their latest report, removed ones left out, by id.

    Keys: those of ``agents_current``, with ``pipelines`` as a list of dicts, and ``heard_at``: when the platform last took
    anything from its host, be it a report or a statistic.
    """
    where = Conditions().equal(agent_id=agent_id)
    found = records(
        settings,
        f"""
        SELECT agent.*, greatest(agent.ingested_at, reported.last_at) AS heard_at
        FROM (SELECT * FROM agents_current {where}) AS agent
        LEFT JOIN (
            SELECT agent_id, max(last_ingested_at) AS last_at FROM statistics_by_day_state {where} GROUP BY agent_id
        ) AS reported ON reported.agent_id = agent.agent_id
        ORDER BY agent.agent_id
        """,  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )
    return [_with_pipelines(row) for row in found]


def _with_pipelines(row: dict[str, Any]) -> dict[str, Any]:
    columns = {name.rpartition(".")[2]: name for name in row if "pipelines." in name}
    lists = [row.pop(name) for name in columns.values()]
    plain = {name.removeprefix("agent."): value for name, value in row.items()}
    pipelines = [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]
    return plain | {"pipelines": pipelines}
