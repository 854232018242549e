"""Agents: their state, and what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parallelm.warehouse.queries._frames import Conditions, limit_clause, records

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.warehouse.queries._frames import OneOrMore

HOSTS_MLAPP: Final = "hosts"
"""MLApp under which agents report the load of their hosts; ``parallelm.schemas.well_known`` names it for those who send."""
SILENT_AFTER_S: Final = 60
"""An agent whose host has told nothing of its load for so long is gone, or cut off; it tells every 15 s."""


def agent_states(
    settings: Settings,
    *,
    agent_id: OneOrMore | None = None,
    condition: str | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Agents by their latest report, removed ones left out, by id; a page has those ``after`` an id.

    Keys: those of ``agents_current``, with ``pipelines`` as a list of dicts; ``heard_at``: when the platform last took
    anything from its host, be it a report or a statistic; and ``condition``: its state, or ``silent`` when it was heard of and
    is no more. ``search`` selects those with the text in their id or host name.
    """
    where = Conditions().equal(agent_id=agent_id)
    chosen = Conditions().equal(condition=condition).containing(search, "agent_id", "hostname")
    if after is not None:
        chosen.written("agent_id > %(after)s")
    found = records(
        settings,
        f"""
        SELECT * FROM (
            SELECT agent.*, greatest(agent.ingested_at, reported.last_at) AS heard_at,
                if(state != 'ended' AND reported.load_at > toDateTime64(0, 3, 'UTC')
                    AND greatest(agent.ingested_at, reported.load_at) < now64(3) - toIntervalSecond({SILENT_AFTER_S}),
                    'silent', toString(state)) AS condition
            FROM (SELECT * FROM agents_current {where}) AS agent
            LEFT JOIN (
                SELECT agent_id, max(last_ingested_at) AS last_at, maxIf(last_ingested_at, mlapp_id = %(hosts)s) AS load_at
                FROM statistics_by_day_state {where} GROUP BY agent_id
            ) AS reported ON reported.agent_id = agent.agent_id
        )
        {chosen}
        ORDER BY agent_id
        {limit_clause(limit)}
        """,  # noqa: S608 - our own names; values are parameters
        where.parameters | chosen.parameters | {"after": after, "hosts": HOSTS_MLAPP},
    )
    return [_with_pipelines(row) for row in found]


def _with_pipelines(row: dict[str, Any]) -> dict[str, Any]:
    columns = {name.rpartition(".")[2]: name for name in row if "pipelines." in name}
    lists = [row.pop(name) for name in columns.values()]
    plain = {name.removeprefix("agent."): value for name, value in row.items()}
    pipelines = [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]
    return plain | {"pipelines": pipelines}
