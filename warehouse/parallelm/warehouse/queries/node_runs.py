"""What the nodes of an MLApp do: how many runs go on, how each last ended, and what ran by schedule in a few days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from parallelm.warehouse.queries._frames import Conditions, records
from parallelm.warehouse.queries.runs import ENDS, READS_FEW, selected_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._frames import OneOrMore

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIER: Final = timedelta(days=1)
"""No run is told of so long before it is due: months that ended before are not read."""


def open_runs_by_node(settings: Settings, mlapp_id: str) -> list[dict[str, Any]]:
    """Runs that have not ended, by node and state: ``node_id, state, runs`` and ``agent_id``, one of theirs."""
    query, parameters = selected_runs(mlapp_id=mlapp_id, has_ended=False)
    return records(
        settings,
        f"""
        SELECT toString(node_id) AS node_id, toString(state) AS state, count() AS runs, toString(max(agent_id)) AS agent_id
        FROM ({query}) GROUP BY node_id, state ORDER BY node_id, state {READS_FEW}
        """,  # noqa: S608 - our own names; values are parameters
        parameters,
    )


def node_ends(settings: Settings, mlapp_id: str) -> dict[str, str]:
    """The state in which a run of each node has ended last; nodes of which none has are absent."""
    found = records(
        settings,
        f"""
        SELECT toString(node_id) AS node_id, argMax(toString(state), (event_time, _offset)) AS last
        FROM run_transitions_log WHERE mlapp_id = %(mlapp_id)s AND run_id != '' AND {ENDS} GROUP BY node_id
        """,  # noqa: S608 - our own names; values are parameters
        {"mlapp_id": mlapp_id},
    )
    return {row["node_id"]: row["last"] for row in found}


def runs_span(settings: Settings, mlapp_id: str) -> tuple[int, int] | None:
    """From when the first run of an MLApp was due to its latest transition, epoch milliseconds; None when it has none."""
    [found] = records(
        settings,
        """
        SELECT count() AS transitions, toUnixTimestamp64Milli(min(due_at)) AS first_ms,
            toUnixTimestamp64Milli(max(event_time)) AS last_ms
        FROM run_transitions_log WHERE mlapp_id = %(mlapp_id)s AND run_id != ''
        """,
        {"mlapp_id": mlapp_id},
    )
    return (found["first_ms"], found["last_ms"] + 1) if found["transitions"] else None


def scheduled_nodes(
    settings: Settings, start_ms: int, end_ms: int, *, mlapp_id: OneOrMore | None = None
) -> list[tuple[str, str]]:
    """``(mlapp_id, node_id)`` of which runs were due by their schedule from the start to before the end."""
    where = _due(Conditions().equal(mlapp_id=mlapp_id), start_ms, end_ms)
    found = records(
        settings,
        f"SELECT DISTINCT toString(mlapp_id) AS mlapp_id, toString(node_id) AS node_id FROM run_transitions_log {where} AND run_id != '' AND trigger = 'schedule'",  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )
    return [(row["mlapp_id"], row["node_id"]) for row in found]


def scheduled_runs(
    settings: Settings, nodes: Sequence[tuple[str, str]], bounds_ms: Sequence[int], *, most: int
) -> list[dict[str, Any]]:
    """Runs of these nodes that were due by their schedule, the first of each day: ``mlapp_id, node_id, run_id, state, due_ms, of_day``.

    Days are between two bounds; ``of_day`` counts all of a node and day.
    """
    if not nodes:
        return []
    where = _due(Conditions(), bounds_ms[0], bounds_ms[-1])
    return records(
        settings,
        f"""
        SELECT toString(mlapp_id) AS mlapp_id, toString(node_id) AS node_id, run_id, toString(last) AS state, due_ms,
            count() OVER (PARTITION BY mlapp_id, node_id, day) AS of_day
        FROM (
            SELECT transition.mlapp_id AS mlapp_id, transition.node_id AS node_id, transition.run_id AS run_id,
                toUnixTimestamp64Milli(min(transition.due_at)) AS due_ms, arrayCount(each -> each <= due_ms, %(bounds)s) AS day,
                argMax(transition.state, (transition.ingested_at, transition._partition, transition._offset)) AS last
            FROM (
                SELECT * FROM run_transitions_log FINAL {where} AND (mlapp_id, node_id) IN %(nodes)s
                    AND run_id != '' AND state != 'refused' AND trigger = 'schedule'
            ) AS transition
            GROUP BY mlapp_id, node_id, run_id
        )
        ORDER BY mlapp_id, node_id, due_ms, run_id
        LIMIT {most:d} BY mlapp_id, node_id, day
        {READS_FEW}
        """,  # noqa: S608 - our own names and numbers; values are parameters
        where.parameters | {"nodes": [tuple(each) for each in nodes], "bounds": list(bounds_ms)},
    )


def _due(where: Conditions, start_ms: int, end_ms: int) -> Conditions:
    start, end = (_EPOCH + timedelta(milliseconds=each) for each in (start_ms, end_ms))
    where.between("due_at", start, end)
    first_ms = (start - _EARLIER - _EPOCH) // timedelta(milliseconds=1)
    return where.written(f"ingested_at >= fromUnixTimestamp64Milli(toInt64({first_ms:d}), 'UTC')")
