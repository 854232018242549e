"""Runs of nodes: what ran where and when, and what each has made and used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.schemas.times import TimeError, range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import Conditions, frame, records

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset

_GOING_ON = "run.run_id != '' AND (run.ended_at IS NULL OR run.ended_at >= model.event_time)"
_BOUND = "fromUnixTimestamp64Milli(toInt64(%({name})s), 'UTC')"


def runs(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    node_id: str | None = None,
    agent_id: OneOrMore | None = None,
    run_id: str | None = None,
    state: OneOrMore | None = None,
    trigger: str | None = None,
    has_ended: bool | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Runs by when they were due, as the view ``runs_current`` has them.

    ``start`` and ``end`` select those that were due before the end and had not ended before the start: a program that
    goes on for months is among the runs of each day. A ``page`` is by ``due_at`` and ``run_id``. Raises ``QueryError`` for
    times that are none.
    """
    return frame(
        settings, *selected_runs(**{name: value for name, value in locals().items() if name != "settings"})
    )


def run_rows(settings: Settings, *, mlapp_id: OneOrMore | None = None, **chosen: Any) -> list[dict[str, Any]]:
    """The same rows, for callers that work without pandas."""
    return records(settings, *selected_runs(mlapp_id=mlapp_id, **chosen))


def selected_runs(**chosen: Any) -> tuple[str, dict[str, Any]]:
    """The query behind ``runs``, and its parameters. Which runs, is decided by few columns of all transitions.

    The view reads all columns of those runs only.
    """
    of_key = Conditions().equal(**{name: chosen.get(name) for name in ("mlapp_id", "node_id", "run_id")})
    of_run = {name: chosen.get(name) for name in ("agent_id", "state", "trigger", "has_ended")}
    where = Conditions().equal(**of_run)
    try:
        first_ms, last_ms = range_ms(chosen.get("start"), chosen.get("end"))
    except TimeError as error:
        raise QueryError(str(error)) from None
    if last_ms is not None:
        where.written(f"due_at < {_BOUND.format(name='end')}")
    if first_ms is not None:
        where.written(f"(NOT has_ended OR ended >= {_BOUND.format(name='start')})")
    found = f"{_few_columns(of_key, agent_id=of_run['agent_id'], state=of_run['state'])} {where}"
    page: Keyset | None = chosen.get("page")
    of_page: dict[str, Any] = {}
    if page is not None:
        found, of_page = page.of(found)
    if page is not None or str(where):
        of_key.written(f"(mlapp_id, node_id, run_id) IN (SELECT mlapp_id, node_id, run_id FROM ({found}))")  # noqa: S608 - as below
    direction = "DESC" if page is not None and page.descending else ""
    query = f"SELECT * FROM runs_current {of_key} ORDER BY due_at {direction}, run_id {direction} {READS_FEW}"  # noqa: S608 - our own names; values are parameters
    bounds = {"start": first_ms or 0, "end": last_ms or 0}
    return query, of_key.parameters | where.parameters | of_page | bounds


def _few_columns(of_key: Conditions, **latest: OneOrMore | None) -> str:
    """Runs with what they are selected by. Those that were never on an agent, or in a state, are neither there now."""
    ever = [Conditions().equal(**{name: value}) for name, value in latest.items() if value is not None]
    among = "".join(
        f" AND (mlapp_id, node_id, run_id) IN (SELECT mlapp_id, node_id, run_id FROM run_transitions_log {each})"  # noqa: S608 - our own names; values are parameters
        for each in ever
    )
    # A transition that came twice matters to what is latest of a run, not to when it was due and whether it has ended.
    return _FEW_COLUMNS.format(final="FINAL" if ever else "", where=of_key, among=among)


ENDS = "state IN ('succeeded', 'failed', 'stopped', 'missed', 'lost')"
_FEW_COLUMNS = f"""
SELECT * FROM (
    SELECT transition.mlapp_id AS mlapp_id, transition.node_id AS node_id, transition.run_id AS run_id,
        min(transition.due_at) AS due_at, argMax(transition.state, transition.place) AS state,
        argMaxIf(transition.agent_id, transition.place, transition.agent_id != '') AS agent_id,
        argMin(transition.trigger, transition.place) AS trigger, max(transition.is_end) AS has_ended,
        maxIf(transition.event_time, transition.is_end) AS ended
    FROM (
        SELECT *, (ingested_at, _partition, _offset) AS place, {ENDS} AS is_end
        FROM (SELECT * FROM run_transitions_log {{final}} {{where}}) WHERE run_id != '' AND state != 'refused'{{among}}
    ) AS transition
    GROUP BY mlapp_id, node_id, run_id
)
"""  # noqa: S608 - our own names
READS_FEW = "SETTINGS optimize_move_to_prewhere_if_final = 1"
"""Of rows of other runs their key is read only."""


def run_transitions(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    node_id: str | None = None,
    run_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Changes of state in the order in which they were recorded; those with an empty ``run_id`` are about an MLApp or a node."""
    where = Conditions().equal(mlapp_id=mlapp_id, node_id=node_id, run_id=run_id)
    where = where.between("event_time", start, end)
    return frame(
        settings,
        f"SELECT * FROM run_transitions {where} ORDER BY ingested_at, _partition, _offset {'' if page else READS_FEW}",  # noqa: S608 - our own names; values are parameters
        where.parameters,
        page,
    )


def mlapp_life(settings: Settings, mlapp_id: OneOrMore | None = None) -> dict[str, dict[str, Any]]:
    """What people have last done with each MLApp as a whole, by its id: ``state, reason, who, event_time``.

    ``state`` is launched (also after a pause), paused, stopped, archived or deleted. MLApps that nobody has launched
    are absent.
    """
    where = Conditions().equal(mlapp_id=mlapp_id)
    found = records(
        settings,
        f"""
        SELECT mlapp_id, if(transition.1 = 'resumed', 'launched', transition.1) AS state, transition.2 AS reason,
            transition.3 AS who, transition.4 AS event_time
        FROM (
            SELECT mlapp_id, argMax((toString(state), reason, toString(who), event_time), (ingested_at, _partition, _offset))
                AS transition
            FROM (SELECT * FROM run_transitions {where})
            WHERE run_id = '' AND node_id = '' AND state IN ('launched', 'paused', 'resumed', 'stopped', 'archived', 'deleted')
            GROUP BY mlapp_id
        )
        {READS_FEW}
        """,  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )
    return {row.pop("mlapp_id"): row for row in found}


def models_of_pipelines(
    settings: Settings, mlapp_id: str, *, node_id: str | None = None, run_id: str | None = None
) -> list[dict[str, Any]]:
    """Models that the pipelines of an MLApp have produced and consumed, in order of time.

    Keys: ``role`` (``produced`` or ``consumed``), ``node_id, agent_id, run_id, model_id, name, since, until``. A model
    was consumed from when it was accepted, or a run began with it, until it was replaced or the run ended. ``until`` is
    None for what was produced, and while it is used. ``run_id`` is empty where no run is known.
    """
    of_node = Conditions().equal(mlapp_id=mlapp_id, node_id=node_id)
    of_run = Conditions().equal(run_id=run_id)
    # Of a model that went live without a run that was started with it no run is known.
    live = "" if run_id else _LIVE_MODELS.format(where=of_node)
    began = f"SELECT * FROM (SELECT * FROM runs_current {of_node}) WHERE started_at IS NOT NULL"  # noqa: S608 - our own names; values are parameters
    return records(
        settings,
        f"""
        SELECT role, node_id, agent_id, run_id, model_id, announced.name AS name, since, until FROM
        (
            SELECT 'produced' AS role, toString(model.node_id) AS node_id, toString(model.agent_id) AS agent_id,
                argMaxIf(run.run_id, ifNull(run.started_at, model.event_time), {_GOING_ON}) AS run_id, model.model_id AS model_id, any(model.event_time) AS since,
                CAST(NULL, 'Nullable(DateTime64(3, \\'UTC\\'))') AS until
            FROM (SELECT * FROM models {of_node}) AS model
            LEFT JOIN ({began}) AS run
                ON run.node_id = model.node_id AND run.agent_id = model.agent_id
                AND run.started_at <= model.event_time
            GROUP BY node_id, agent_id, model_id
            UNION ALL
            SELECT 'consumed', toString(node_id), toString(agent_id), run_id, model_id, assumeNotNull(started_at), ended_at
            FROM ({began}) {of_run} {"AND" if run_id else "WHERE"} model_id != ''
            {live}
        ) AS flow
        LEFT JOIN (
            SELECT model_id, any(toString(name)) AS name FROM models WHERE mlapp_id = %(mlapp_id)s GROUP BY model_id
        ) AS announced ON announced.model_id = flow.model_id
        {of_run}
        ORDER BY since, role, node_id, model_id
        {READS_FEW}
        """,  # noqa: S608 - our own names; values are parameters
        of_node.parameters | of_run.parameters,
    )


_LIVE_MODELS = """
            UNION ALL
            SELECT 'consumed', toString(node_id), arrayJoin(if(empty(agents), [''], agents)), '', model_id,
                assumeNotNull(live_from), live_to
            FROM (SELECT * FROM deployments_current {where})
            WHERE live_from IS NOT NULL AND (node_id, model_id) NOT IN (
                SELECT node_id, model_id FROM (SELECT * FROM runs_current {where}) WHERE started_at IS NOT NULL
            )
"""


def run_ids_starting(
    settings: Settings, beginning: str, *, mlapp_id: OneOrMore | None = None, limit: int = 2
) -> list[str]:
    """Ids of runs (of MLApps) that begin so; the one that is so in full alone."""
    where = Conditions().equal(mlapp_id=mlapp_id).starting("run_id", beginning)
    found = records(
        settings,
        f"SELECT DISTINCT run_id FROM run_transitions_log {where} AND run_id != '' ORDER BY run_id LIMIT {limit:d}",  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )
    ids = [row["run_id"] for row in found]
    return [beginning] if beginning in ids else ids


def running_forms(settings: Settings, mlapp_id: OneOrMore | None = None) -> list[dict[str, Any]]:
    """Nodes that agents run, by the definitions in force: ``mlapp_id, node_id, running_json``."""
    where = Conditions().equal(mlapp_id=mlapp_id)
    return records(
        settings,
        f"""
        SELECT toString(mlapp_id) AS mlapp_id, node_id, running_json FROM (
            SELECT mlapp_id, nodes.node_id AS node_id, nodes.running_json AS running_json
            FROM (SELECT * FROM mlapps_current {where}) ARRAY JOIN nodes.node_id, nodes.running_json
        )
        WHERE running_json NOT IN ('', '{{}}') ORDER BY mlapp_id, node_id
        """,  # noqa: S608 - our own names; values are parameters
        where.parameters,
    )
