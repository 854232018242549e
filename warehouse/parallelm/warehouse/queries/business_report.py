"""A week, a month or a quarter in numbers: MLApps, models, alerts and KPIs, with the period before beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from parallelm.warehouse.queries._frames import records

if TYPE_CHECKING:
    from datetime import datetime

    from parallelm.connections import Settings

Period = Literal["week", "month", "quarter"]
PERIODS: Final[tuple[Period, ...]] = ("week", "month", "quarter")

_COUNTS = """
SELECT * FROM
(
    SELECT 'new_mlapps' AS what, mlapp_id, '' AS detail, count() AS n
    FROM (SELECT mlapp_id, min(event_time) AS first_time FROM mlapps WHERE NOT is_deleted GROUP BY mlapp_id)
    WHERE first_time >= %(start)s AND first_time < %(end)s
    GROUP BY mlapp_id
    UNION ALL
    SELECT 'models' AS what, mlapp_id, '' AS detail, count() AS n
    FROM models
    WHERE event_time >= %(start)s AND event_time < %(end)s
    GROUP BY mlapp_id
    UNION ALL
    SELECT 'deployed' AS what, mlapp_id, '' AS detail, count() AS n
    FROM deployments_current
    WHERE live_from >= %(start)s AND live_from < %(end)s
    GROUP BY mlapp_id
    UNION ALL
    SELECT 'rolled_back' AS what, mlapp_id, '' AS detail, count() AS n
    FROM deployments_current
    WHERE state = 'rolled_back' AND live_to >= %(start)s AND live_to < %(end)s
    GROUP BY mlapp_id
    UNION ALL
    SELECT 'alerts' AS what, mlapp_id, toString(severity) AS detail, count() AS n
    FROM alerts_current
    WHERE fired_at >= %(start)s AND fired_at < %(end)s
    GROUP BY mlapp_id, severity
)
ORDER BY mlapp_id, what, detail
"""
_PREDICTIONS = """
SELECT mlapp_id, sum(total) AS predictions
FROM statistics_by_day_state
WHERE name = %(predictions)s AND bucket_start >= %(start)s AND bucket_start < %(end)s
GROUP BY mlapp_id
"""
_KPIS = """
SELECT mlapp_id, name, avgIf(value, event_time >= %(start)s AND isFinite(value)) AS mean, countIf(event_time >= %(start)s) AS points,
       avgIf(value, event_time < %(start)s AND isFinite(value)) AS mean_before, countIf(event_time < %(start)s) AS points_before
FROM kpis_current
WHERE event_time >= %(before)s AND event_time < %(end)s
GROUP BY mlapp_id, name
ORDER BY mlapp_id, name
"""


def report_counts(settings: Settings, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """What happened between two moments of event time, by MLApp.

    Keys: ``what`` (new_mlapps, models, deployed, rolled_back, alerts), ``mlapp_id``, ``detail`` (severity of alerts), ``n``.
    """
    return records(settings, _COUNTS, {"start": start, "end": end})


def report_predictions(
    settings: Settings, start: datetime, end: datetime, statistic: str = "pipelinestat.count"
) -> dict[str, float]:
    """Predictions by MLApp."""
    rows = records(settings, _PREDICTIONS, {"start": start, "end": end, "predictions": statistic})
    return {row["mlapp_id"]: row["predictions"] for row in rows}


def report_kpis(settings: Settings, before: datetime, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Means of each KPI over all its labels: from ``start`` to ``end``, and from ``before`` to ``start``.

    Keys: ``mlapp_id, name, mean, points, mean_before, points_before``.
    """
    return records(settings, _KPIS, {"before": before, "start": start, "end": end})
