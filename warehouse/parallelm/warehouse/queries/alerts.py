"""Alerts, one row an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.queries._frames import Conditions, frame

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time


def alerts(
    settings: Settings,
    *,
    mlapp_id: str | None = None,
    rule: str | None = None,
    state: str | None = None,
    fired_only: bool = True,
    start: Time | None = None,
    end: Time | None = None,
) -> pd.DataFrame:
    """Alerts by the time their condition was met.

    Columns: ``mlapp_id, rule, severity, state, statistic, node_id, model_id,
    labels, value, threshold, started_at, fired_at, resolved_at, settled_by_model_id, fired_reason, resolved_reason,
    acknowledged_at, acknowledged_by, alert_id``.

    ``settled_by_model_id`` is the last model that went live on the alert's node (on any, for an alert without one)
    after it had fired and not after it resolved; empty when it resolved without a new model, or is open.
    ``fired_only`` leaves out those that resolved before they fired.
    """
    where = Conditions().equal(mlapp_id=mlapp_id, rule=rule, state=state).between("started_at", start, end)
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
        FROM (SELECT * FROM alerts_current {where}) AS alert
        LEFT JOIN
        (
            SELECT mlapp_id, arraySort(groupArray((assumeNotNull(live_from), toString(node_id), model_id))) AS went_live
            FROM deployments_current
            WHERE live_from IS NOT NULL
            GROUP BY mlapp_id
        ) AS deployment USING (mlapp_id)
        {"WHERE fired_at IS NOT NULL" if fired_only else ""}
        ORDER BY started_at, rule, alert_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
