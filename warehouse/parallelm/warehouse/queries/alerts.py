"""Alerts, one row an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.schemas.times import TimeError, range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import Conditions, frame, records

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset


OPEN_STATES = ("pending", "firing", "acknowledged", "silenced")
"""States of an alert that has not ended."""


def alerts(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    rule: str | None = None,
    severity: str | None = None,
    node_id: str | None = None,
    state: str | None = None,
    labels: Mapping[str, str] | None = None,
    fired_only: bool = True,
    open_only: bool = False,
    at: Time | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Alerts by the time their condition was met.

    Columns: ``mlapp_id, rule, severity, state, statistic, node_id, model_id,
    labels, value, threshold, started_at, fired_at, resolved_at, settled_by_model_id, fired_reason, resolved_reason,
    acknowledged_at, acknowledged_by, alert_id``.

    ``settled_by_model_id`` is the last model that went live on the alert's node (on any, for an alert without one)
    after it had fired and not after it resolved; empty when it resolved without a new model, or is open.
    ``fired_only`` leaves out those that resolved before they fired, ``open_only`` those that have ended. With ``at``
    each is as it was at that event time.
    """
    where = Conditions().equal(mlapp_id=mlapp_id, rule=rule, severity=severity, node_id=node_id, state=state)
    where = where.labels(labels).between("started_at", start, end)
    source, parameters = _as_of(at)
    conditions = ["fired_at IS NOT NULL"] if fired_only else []
    if open_only:
        conditions.append(f"state IN {OPEN_STATES}")
    return frame(
        settings,
        f"""
        SELECT
            mlapp_id, rule, severity, state, statistic, node_id, model_id, labels, value, threshold, started_at,
            fired_at, resolved_at,
            tupleElement(
                arrayLast(
                    live -> live.1 > fired_at AND live.1 <= resolved_at
                        AND (node_id = '' OR live.2 = node_id) AND live.3 != model_id,
                    went_live
                ), 3
            ) AS settled_by_model_id,
            fired_reason, resolved_reason, acknowledged_at, acknowledged_by, alert_id
        FROM (SELECT * FROM {source} {where}) AS alert
        LEFT JOIN
        (
            SELECT mlapp_id, arraySort(groupArray((assumeNotNull(live_from), toString(node_id), model_id))) AS went_live
            FROM deployments_current
            WHERE live_from IS NOT NULL
            GROUP BY mlapp_id
        ) AS deployment USING (mlapp_id)
        {"WHERE " + " AND ".join(conditions) if conditions else ""}
        ORDER BY started_at, rule, alert_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | parameters,
        page,
    )


def alert_episodes(
    settings: Settings, prefix: str, *, mlapp_id: OneOrMore | None = None, limit: int = 1000
) -> list[dict[str, Any]]:
    """Episodes whose id begins with ``prefix``, the latest first: rows of ``alerts_current``. Needs no pandas."""
    where = Conditions().starting("alert_id", prefix).equal(mlapp_id=mlapp_id)
    return records(
        settings,
        f"""
        SELECT *
        FROM alerts_current
        {where}
        ORDER BY state IN {OPEN_STATES} DESC, started_at DESC, alert_id
        LIMIT %(limit)s
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | {"limit": limit},
    )


def alert_transitions(
    settings: Settings, *, alert_id: str, mlapp_id: str | None = None
) -> list[dict[str, Any]]:
    """Transitions of one episode in the order in which they were recorded: rows of ``alert_transitions``. Needs no pandas."""
    where = Conditions().equal(alert_id=alert_id, mlapp_id=mlapp_id)
    return records(
        settings,
        f"SELECT * FROM alert_transitions {where} ORDER BY ingested_at, _partition, _offset",  # noqa: S608 - our own columns
        where.parameters,
    )


def _as_of(at: Time | None) -> tuple[str, dict[str, Any]]:
    """Where alerts are read from: as they are now, or as they were at an event time."""
    if at is None:
        return "alerts_current", {}
    try:
        at_ms, _ = range_ms(at, None)
    except TimeError as error:
        raise QueryError(str(error)) from None
    moment = "fromUnixTimestamp64Milli(toInt64(%(at_ms)s), 'UTC')"
    return (
        f"""
        (
            SELECT now.* REPLACE (
                past.past_state AS state,
                if(now.fired_at <= {moment}, now.fired_at, NULL) AS fired_at,
                if(past.past_state = 'resolved', now.resolved_at, NULL) AS resolved_at,
                if(now.acknowledged_at <= {moment}, now.acknowledged_at, NULL) AS acknowledged_at,
                if(now.acknowledged_at <= {moment}, now.acknowledged_by, '') AS acknowledged_by,
                if(past.past_state = 'resolved', now.resolved_reason, '') AS resolved_reason
            )
            FROM alerts_current AS now
            INNER JOIN
            (
                SELECT mlapp_id, alert_id, argMax(state, (ingested_at, _partition, _offset)) AS past_state
                FROM alert_transitions
                WHERE event_time <= {moment}
                    AND transition_id NOT IN (SELECT supersedes FROM alert_transitions WHERE supersedes != '')
                GROUP BY mlapp_id, alert_id
            ) AS past USING (mlapp_id, alert_id)
        )
        """,  # noqa: S608 - made of our own column names
        {"at_ms": at_ms},
    )
