"""MLApps as they are defined now, and the agents that run or report for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, frame, records

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset


def check_connection(settings: Settings) -> None:
    """Return when ClickHouse accepts the user and answers; raises the driver's errors."""
    records(settings, "SELECT 1", {})


def mlapp_definition(settings: Settings, mlapp_id: str) -> dict[str, Any] | None:
    """The current definition of an MLApp; None when it has none.

    Keys: ``name, model_policy, health_threshold, canary_threshold`` and the parallel lists ``nodes.node_id,
    nodes.name, nodes.pipeline``.
    """
    found = records(
        settings,
        """
        SELECT name, model_policy, health_threshold, canary_threshold, nodes.node_id, nodes.name, nodes.pipeline
        FROM mlapps_current
        WHERE mlapp_id = %(mlapp_id)s
        """,
        {"mlapp_id": mlapp_id},
    )
    return found[0] if found else None


def mlapp_agents(settings: Settings, mlapp_id: str) -> list[dict[str, Any]]:
    """Agents that run pipelines of an MLApp, have run some, or have reported for it: by node, those that run first.

    Keys: ``node_id, agent_id, hostname, state, labels``, and ``instances``: ids of the node's pipeline instances that agents
    of the platform run or have run there, the one that runs or ran last first; ``pipeline_instance_id`` is that one.
    ``state`` is that of the agent; empty, as ``instances`` is, for a host that only reports. ``run_id`` is the run that goes
    on there; it may be empty.
    """
    return records(
        settings,
        """
        SELECT node_id, agent_id, if(known.hostname = '', agent_id, known.hostname) AS hostname,
            toString(known.state) AS state, known.labels AS labels, found.instances AS instances, run_id,
            if(empty(instances), '', instances[1]) AS pipeline_instance_id
        FROM (
            SELECT node_id, agent_id, max(place) AS last,
                arrayDistinct(arrayMap(each -> each.2, arrayReverseSort(
                    groupArrayIf((place, pipeline_instance_id), pipeline_instance_id != '')))) AS instances,
                argMaxIf(run_id, place, place.1) AS run_id
            FROM (
                SELECT mlapp_id, node_id, agent_id, pipeline_instance_id, run_id, (state IN ('starting', 'running'), since) AS place
                FROM (
                    SELECT pipelines.mlapp_id AS mlapp_id, pipelines.node_id AS node_id, toString(agent_id) AS agent_id,
                        pipelines.pipeline_instance_id AS pipeline_instance_id, pipelines.run_id AS run_id,
                        pipelines.state AS state, pipelines.since AS since
                    FROM agents_current
                    ARRAY JOIN pipelines.mlapp_id, pipelines.node_id, pipelines.pipeline_instance_id, pipelines.run_id,
                        pipelines.state, pipelines.since
                )
                UNION ALL
                SELECT toString(mlapp_id), toString(node_id), toString(agent_id), toString(pipeline_instance_id), '',
                    (0, max(event_time))
                FROM run_transitions_log
                WHERE mlapp_id = %(mlapp_id)s AND agent_id != ''
                GROUP BY mlapp_id, node_id, agent_id, pipeline_instance_id
                UNION ALL
                SELECT toString(mlapp_id), toString(node_id), toString(agent_id), toString(pipeline_instance_id), run_id,
                    (1, state_since)
                FROM (
                    SELECT * FROM runs_current WHERE (mlapp_id, node_id, run_id) IN (
                        SELECT mlapp_id, node_id, run_id FROM run_transitions_log WHERE mlapp_id = %(mlapp_id)s AND run_id != ''
                        GROUP BY mlapp_id, node_id, run_id
                        HAVING NOT max(state IN ('succeeded', 'failed', 'stopped', 'missed', 'lost'))
                    )
                )
                WHERE agent_id != ''
                UNION ALL
                SELECT toString(mlapp_id), toString(node_id), toString(agent_id), '', '', (0, max(last_ingested_at))
                FROM statistics_by_day_state
                WHERE mlapp_id = %(mlapp_id)s
                GROUP BY mlapp_id, node_id, agent_id
            )
            WHERE mlapp_id = %(mlapp_id)s
            GROUP BY node_id, agent_id
        ) AS found
        LEFT JOIN agents_current AS known ON known.agent_id = found.agent_id
        ORDER BY node_id, found.last.1 DESC, notEmpty(instances) DESC, agent_id
        SETTINGS optimize_move_to_prewhere_if_final = 1
        """,
        {"mlapp_id": mlapp_id},
    )


def is_in_force(settings: Settings, mlapp_id: str, version: int) -> bool:
    """Whether this version of a definition, or a later one, has been stored."""
    found = current_mlapp(settings, mlapp_id)
    return found is not None and found["version"] >= version


def mlapps(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    search: str | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Current definitions by id, those removed left out; ``search`` selects what has the text in id, name or description.

    Columns: ``mlapp_id, name, description, stage, version, model_policy, health_threshold, canary_threshold,
    accept_timeout_ms, applied_by, applied_at, node_count, rule_count``.
    """
    where = Conditions().equal(mlapp_id=mlapp_id).containing(search, "mlapp_id", "name", "description")
    return frame(
        settings,
        f"""
        SELECT mlapp_id, name, description, stage, version, model_policy, health_threshold, canary_threshold,
               accept_timeout_ms, applied_by, event_time AS applied_at, length(nodes.node_id) AS node_count,
               length(rules.name) AS rule_count
        FROM mlapps_current {where}
        ORDER BY mlapp_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def mlapp_versions(
    settings: Settings, mlapp_id: str, *, version: int | None = None, page: Keyset | None = None
) -> pd.DataFrame:
    """Versions of a definition, removals among them: the columns of ``mlapps``, with nodes, rules and the file's text."""
    where = Conditions().equal(mlapp_id=mlapp_id, version=version)
    return frame(
        settings,
        f"""
        SELECT *, event_time AS applied_at
        FROM mlapps {where}
        ORDER BY ingested_at, _offset
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def current_mlapp(settings: Settings, mlapp_id: str) -> dict[str, Any] | None:
    """Row of ``mlapps_current``; None when the MLApp is not defined."""
    found = records(
        settings,
        "SELECT *, event_time AS applied_at FROM mlapps_current WHERE mlapp_id = %(mlapp_id)s",
        {"mlapp_id": mlapp_id},
    )
    return found[0] if found else None
