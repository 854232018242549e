"""Models, and how they were deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.schemas.times import range_ms
from parallelm.warehouse.queries._frames import Conditions, frame, records

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedModel:
    """A model that was deployed to a node, and where its file is stored."""

    model_id: str
    name: str
    format: str
    description: str
    artifact_url: str
    file_name: str
    is_directory: bool
    size_bytes: int
    sha256: str
    annotations: Mapping[str, str]
    """User annotations; values are JSON."""
    owner: str
    train_version: str
    model_version: str
    signature: str
    mlapp_id: str
    created_ms: int
    """Event time of its announcement, epoch milliseconds."""
    deployment_id: str
    attempt: int
    """Which deployment of the node it is, from 1."""
    deployment_state: str
    """canary, requested, accepted or active."""
    node_id: str
    policy: str
    reason: str
    """Why it was requested, in a sentence."""
    who: str
    requested_ms: int
    """Event time of the request, epoch milliseconds."""


def last_deployed_model(
    settings: Settings, mlapp_id: str, node_id: str, agent_id: str = "", *, model_id: str | None = None
) -> DeployedModel | None:
    """Model that a node was given last and still is to run; None when there is none.

    The one whose request was recorded last, of the deployments that are requested, accepted or active, and of the
    canaries that run on ``agent_id``: the order in which the processors decided. Models whose announcement has not
    arrived yet do not count. ``model_id`` asks for a deployment of that model only.
    """
    found = records(
        settings,
        """
        SELECT model_id, name, format, description, artifact_url, file_name, is_directory, size_bytes, sha256,
               annotations, owner, train_version, model_version, signature, %(mlapp_id)s AS mlapp_id,
               toUnixTimestamp64Milli(event_time) AS created_ms,
               deployment_id, attempt, deployment_state, %(node_id)s AS node_id, policy, reason, who, requested_ms
        FROM
        (
            SELECT transition.mlapp_id AS mlapp_id, transition.model_id AS model_id, deployment_id,
                   any(transition.attempt) AS attempt, argMax(transition.state, transition.place) AS deployment_state,
                   any(transition.policy) AS policy,
                   argMax(transition.reason, transition.request) AS reason,
                   argMax(transition.who, transition.request) AS who,
                   toUnixTimestamp64Milli(argMax(transition.event_time, transition.request)) AS requested_ms,
                   max(transition.request) AS request
            FROM
            (
                SELECT *, (ingested_at, _partition, _offset) AS place,
                       (state IN ('requested', 'canary'), place) AS request
                FROM deployment_transitions
                WHERE mlapp_id = %(mlapp_id)s AND node_id = %(node_id)s
                      AND (%(any_model)s OR model_id = %(model_id)s)
                      AND state NOT IN ('pinned', 'unpinned', 'refused', 'deleted')
            ) AS transition
            GROUP BY mlapp_id, model_id, deployment_id
            HAVING deployment_state IN ('requested', 'accepted', 'active')
                   OR deployment_state = 'canary' AND has(
                       JSONExtract(argMax(transition.evidence_json, transition.place), 'agents', 'Array(String)'),
                       %(agent_id)s)
        ) AS deployment
        INNER JOIN models USING (mlapp_id, model_id)
        ORDER BY request DESC
        LIMIT 1
        """,
        {
            "mlapp_id": mlapp_id,
            "node_id": node_id,
            "agent_id": agent_id,
            "any_model": model_id is None,
            "model_id": model_id or "",
        },
    )
    return DeployedModel(**found[0]) if found else None


def model_announcement(settings: Settings, model_id: str) -> dict[str, Any] | None:
    """The row of table ``models`` of a model, with ``created_ms``, its event time in epoch milliseconds.

    None when the model was not announced.
    """
    found = records(
        settings,
        "SELECT *, toUnixTimestamp64Milli(event_time) AS created_ms FROM models WHERE model_id = %(model_id)s LIMIT 1",
        {"model_id": model_id},
    )
    return found[0] if found else None


def models(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    model_id: str | None = None,
    name: str | None = None,
    model_format: str | None = None,
    node_id: str | None = None,
    owner: str | None = None,
    annotations: Mapping[str, str] | None = None,
    search: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Models by the time they were announced.

    ``annotations`` selects models that have these, as texts in JSON, among any others; ``search`` those that have the text in
    name, id or description.

    Columns: ``event_time, model_id, name, format, description, mlapp_id, node_id,
    agent_id, size_bytes, sha256, artifact_url, file_name, is_directory, annotations, owner, train_version,
    model_version, signature, signed_by`` (id of the key that the signature names), ``live_on`` (nodes on which the model is live now), ``deleted_at, deleted_by`` (missing and empty while its
    file is there).
    """
    where = Conditions().equal(
        mlapp_id=mlapp_id, model_id=model_id, name=name, format=model_format, node_id=node_id, owner=owner
    )
    where.labels(annotations, "annotations").containing(search, "name", "model_id", "description")
    where.between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, model_id, name, format, description, mlapp_id, node_id, agent_id, size_bytes, sha256,
               artifact_url, file_name, is_directory, annotations, owner, train_version, model_version, signature, signed_by,
               live_on, deleted_at, deleted_by
        FROM (SELECT * FROM models {where}) AS model
        LEFT JOIN
        (
            SELECT mlapp_id, model_id, arraySort(groupUniqArray(toString(node_id))) AS live_on
            FROM deployments_current
            WHERE live_from IS NOT NULL AND live_to IS NULL
            GROUP BY mlapp_id, model_id
        ) AS live USING (mlapp_id, model_id)
        LEFT JOIN
        (
            SELECT mlapp_id, model_id, toNullable(min(event_time)) AS deleted_at, argMin(who, event_time) AS deleted_by
            FROM deployment_transitions WHERE state = 'deleted' GROUP BY mlapp_id, model_id
        ) AS deletion USING (mlapp_id, model_id)
        ORDER BY event_time, model_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def model_names(settings: Settings, mlapp_id: str, model_ids: Collection[str]) -> dict[str, str]:
    """Names of some models by id; those without an announcement are left out."""
    if not model_ids:
        return {}
    where = Conditions().equal(mlapp_id=mlapp_id, model_id=model_ids)
    query = f"SELECT model_id, any(toString(name)) AS name FROM models_log {where} GROUP BY model_id"  # noqa: S608 - our own columns
    return {row["model_id"]: row["name"] for row in records(settings, query, where.parameters)}


def deployments(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    node_id: str | None = None,
    model_id: str | None = None,
    state: OneOrMore | None = None,
    deployment_id: str | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Deployments by the time they were decided.

    Columns: ``mlapp_id, node_id, model_id, model_name, state, policy, decided_at,
    requested_at, accepted_at, live_from, live_to, decided_reason, decided_by, ended_reason, related_model_id,
    deployment_id, attempt, ended_by, agents, evidence_json``. ``live_from`` is missing for a model that was never live, ``live_to`` for one that is live now.
    """
    where = (
        Conditions()
        .equal(mlapp_id=mlapp_id, node_id=node_id, model_id=model_id, state=state)
        .equal(deployment_id=deployment_id)
    )
    return frame(
        settings,
        f"""
        SELECT mlapp_id, node_id, model_id, model_name, state, policy, decided_at, requested_at, accepted_at, live_from, live_to,
               decided_reason, decided_by, ended_reason, related_model_id, deployment_id, attempt, ended_by, agents,
               evidence_json
        FROM deployments_current {where}
        ORDER BY decided_at, node_id, attempt, deployment_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def deployment_history(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    node_id: str | None = None,
    model_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Every decision on deployments, the answers to people among them, in the order in which they were made.

    Columns: ``event_time, decided_at, mlapp_id, node_id, model_id, model_name, attempt, state, previous_state, policy, who,
    agent_id, reason, related_model_id, evidence_json, cause_topic, cause_partition, cause_offset, deployment_id``.
    """
    where = (
        Conditions()
        .equal(mlapp_id=mlapp_id, node_id=node_id, model_id=model_id)
        .between("event_time", start, end)
    )
    return frame(
        settings,
        f"""
        SELECT event_time, decided_at, mlapp_id, node_id, model_id, model_name, attempt, state, previous_state, policy, who, agent_id,
               reason, related_model_id, evidence_json, cause_topic, cause_partition, cause_offset, deployment_id
               {page.places if page else ""}
        FROM (SELECT * FROM deployment_transitions {where}) AS decision
        LEFT JOIN
        (
            SELECT mlapp_id, model_id, any(toString(name)) AS model_name FROM models GROUP BY mlapp_id, model_id
        ) AS announced USING (mlapp_id, model_id)
        ORDER BY mlapp_id, ingested_at, _partition, _offset
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def live_models(
    settings: Settings, at: Time | None = None, *, mlapp_id: OneOrMore | None = None
) -> pd.DataFrame:
    """The model that was live on each node at a moment, or is now.

    Columns: ``mlapp_id, node_id, model_id, model_name, attempt, live_from, live_to, policy, decided_reason, decided_by, agents``.
    """
    at_ms, _ = range_ms(at, None)
    where = Conditions().equal(mlapp_id=mlapp_id)
    moment = "now64(3, 'UTC')" if at_ms is None else "fromUnixTimestamp64Milli(toInt64(%(at_ms)s), 'UTC')"
    return frame(
        settings,
        f"""
        SELECT mlapp_id, node_id, model_id, model_name, attempt, live_from, live_to, policy, decided_reason, decided_by, agents
        FROM live_models(at = {moment}) {where}
        ORDER BY mlapp_id, node_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | ({} if at_ms is None else {"at_ms": at_ms}),
    )


def answers_to(settings: Settings, mlapp_id: str, topic: str, partition: int, offset: int) -> int:
    """How many transitions of deployments a record has caused, as far as they are stored."""
    where = Conditions().equal(
        mlapp_id=mlapp_id, cause_topic=topic, cause_partition=partition, cause_offset=offset
    )
    query = f"SELECT count() AS answers FROM deployment_transitions {where}"  # noqa: S608 - our own columns; values are parameters
    return int(records(settings, query, where.parameters)[0]["answers"])


def pins(settings: Settings, mlapp_id: str) -> dict[str, dict[str, Any]]:
    """By node that a person has pinned: ``model_id, who, event_time, reason``."""
    found = records(
        settings,
        """
        SELECT node_id, argMax(state, place) AS last_state, argMax(model_id, place) AS model_id, argMax(who, place) AS who,
               argMax(event_time, place) AS event_time, argMax(reason, place) AS reason
        FROM (
            SELECT *, (ingested_at, _partition, _offset) AS place FROM deployment_transitions
            WHERE mlapp_id = %(mlapp_id)s AND state IN ('pinned', 'unpinned')
        ) AS answer
        GROUP BY node_id
        """,
        {"mlapp_id": mlapp_id},
    )
    return {row["node_id"]: row for row in found if row["last_state"] == "pinned"}


def model_samples(
    settings: Settings, mlapp_id: str, model_ids: Sequence[str], node_id: str | None = None
) -> list[dict[str, Any]]:
    """Samples that carry a model's id: of each model, statistic and labels the count, mean and the latest 500 values."""
    where = Conditions().equal(mlapp_id=mlapp_id, node_id=node_id)
    return records(
        settings,
        f"""
        SELECT name, toString(labels) AS labels, model_id, count() AS n, avg(value) AS mean,
               groupArray(500)(value) AS latest
        FROM
        (
            SELECT name, labels, model_id, value FROM statistics
            {where} AND model_id IN %(model_ids)s AND isFinite(value)
            ORDER BY event_time DESC
        )
        GROUP BY name, labels, model_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | {"model_ids": tuple(model_ids)},
    )
