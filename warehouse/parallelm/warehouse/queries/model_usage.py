"""What models did while they were live: predictions, and alerts that fired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.queries._frames import Conditions, frame

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._frames import OneOrMore


def model_usage(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    model_id: str | None = None,
    predictions: str = "pipelinestat.count",
) -> pd.DataFrame:
    """One row a deployment whose model was live, by the time from which it was.

    Columns: ``mlapp_id, node_id, model_id, deployment_id, attempt, live_from, live_to, predictions, alerts, critical_alerts,
    health_alerts``. Predictions are those that its node counted in that time by the statistic of this name; alerts are those about its node,
    or about none, that fired in it; those of health say that data or predictions differ.
    """
    where = Conditions().equal(mlapp_id=mlapp_id, model_id=model_id)
    return frame(
        settings,
        f"""
        WITH live AS
        (
            SELECT mlapp_id, node_id, model_id, deployment_id, attempt, live_from, live_to
            FROM (SELECT * FROM deployments_current {where}) WHERE live_from IS NOT NULL
        )
        SELECT live.mlapp_id AS mlapp_id, live.node_id AS node_id, live.model_id AS model_id,
               live.deployment_id AS deployment_id, live.attempt AS attempt, live.live_from AS live_from,
               live.live_to AS live_to, counted.predictions AS predictions, raised.alerts AS alerts,
               raised.critical_alerts AS critical_alerts, raised.health_alerts AS health_alerts
        FROM live
        LEFT JOIN
        (
            SELECT deployment_id, sum(value) AS predictions
            FROM live
            INNER JOIN
            (
                SELECT mlapp_id, node_id, event_time, value FROM statistics
                WHERE name = %(predictions)s AND isFinite(value)
                    AND mlapp_id IN (SELECT mlapp_id FROM live)
            ) AS sample USING (mlapp_id, node_id)
            WHERE event_time >= live_from AND (live_to IS NULL OR event_time < live_to)
            GROUP BY deployment_id
        ) AS counted ON counted.deployment_id = live.deployment_id
        LEFT JOIN
        (
            SELECT deployment_id, count() AS alerts, countIf(severity = 'critical') AS critical_alerts,
                countIf(is_health) AS health_alerts
            FROM live
            INNER JOIN
            (
                SELECT mlapp_id, toString(node_id) AS about_node, fired_at, severity,
                    rule_type IN ('health', 'canary') OR rule ILIKE '%%health%%' AS is_health
                FROM alerts_current
                WHERE fired_at IS NOT NULL AND mlapp_id IN (SELECT mlapp_id FROM live)
            ) AS alert USING (mlapp_id)
            WHERE about_node IN ('', toString(node_id)) AND fired_at >= live_from
                AND (live_to IS NULL OR fired_at < live_to)
            GROUP BY deployment_id
        ) AS raised ON raised.deployment_id = live.deployment_id
        ORDER BY live_from, node_id
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | {"predictions": predictions},
    )
