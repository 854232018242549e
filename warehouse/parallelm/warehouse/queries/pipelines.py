"""Which node of which MLApp a pipeline instance is, and which agents there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, records

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.warehouse.queries._frames import OneOrMore


def find_pipeline(settings: Settings, instance_id: str) -> tuple[str, str] | None:
    """``(mlapp_id, node_id)`` of a pipeline that an agent runs or has run, or of ``<mlapp>.<node>``; None for any other id."""
    found = records(
        settings,
        """
        SELECT mlapp_id, node_id FROM
        (
            SELECT pipelines.mlapp_id AS mlapp_id, pipelines.node_id AS node_id, 0 AS place
            FROM agents_current ARRAY JOIN pipelines.mlapp_id, pipelines.node_id, pipelines.pipeline_instance_id
            WHERE pipelines.pipeline_instance_id = %(id)s
            UNION ALL
            SELECT toString(mlapp_id), toString(node_id), 1 FROM run_transitions_log WHERE pipeline_instance_id = %(id)s
            UNION ALL
            SELECT toString(mlapp_id), nodes.node_id, 2
            FROM mlapps_current ARRAY JOIN nodes.node_id
            WHERE concat(mlapp_id, '.', nodes.node_id) = %(id)s
        )
        ORDER BY place, mlapp_id LIMIT 1
        """,
        {"id": instance_id},
    )
    return (found[0]["mlapp_id"], found[0]["node_id"]) if found else None


def agents(settings: Settings, *, mlapp_id: OneOrMore | None = None) -> list[dict[str, Any]]:
    """Agents that run pipelines of these MLApps, have run some, or have reported for them; without MLApps all there are.

    Keys: ``agent_id, hostname, state, labels``; ``state`` is empty for a host that only reports.
    """
    where = Conditions().equal(mlapp_id=mlapp_id)
    every = "UNION DISTINCT SELECT toString(agent_id) FROM agents_current" if mlapp_id is None else ""
    return records(
        settings,
        f"""
        SELECT found.agent_id AS agent_id, if(known.hostname = '', found.agent_id, known.hostname) AS hostname,
            toString(known.state) AS state, known.labels AS labels
        FROM (
            SELECT DISTINCT agent_id FROM (
                SELECT toString(agent_id) AS agent_id, pipelines.mlapp_id AS mlapp_id
                FROM agents_current ARRAY JOIN pipelines.mlapp_id
                UNION ALL
                SELECT toString(agent_id), toString(mlapp_id) FROM statistics_by_day_state GROUP BY agent_id, mlapp_id
                UNION ALL
                SELECT toString(agent_id), toString(mlapp_id) FROM run_transitions_log WHERE agent_id != ''
            )
            {where}
            {every}
        ) AS found
        LEFT JOIN agents_current AS known ON known.agent_id = found.agent_id
        ORDER BY agent_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
