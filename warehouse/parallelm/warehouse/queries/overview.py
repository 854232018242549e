"""All MLApps at a glance: what is wrong, what is live, what waits for somebody, when each was last heard of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from parallelm.connections import Settings

_DEFINED = """
SELECT mlapp_id, name, description, stage, version, model_policy, applied_by, event_time AS applied_at,
       length(nodes.node_id) AS nodes
FROM mlapps_current
WHERE %(all)s OR mlapp_id = %(mlapp_id)s
"""
_ALERTS = """
SELECT mlapp_id, severity, count() AS alerts
FROM alerts_current
WHERE state IN ('firing', 'acknowledged') AND (%(all)s OR mlapp_id = %(mlapp_id)s)
GROUP BY mlapp_id, severity
"""
_DEPLOYMENTS = """
SELECT mlapp_id, uniqIf(node_id, live_from IS NOT NULL AND live_to IS NULL) AS live,
       countIf(state = 'awaiting_approval') AS pending
FROM deployments_current
WHERE state NOT IN ('superseded', 'failed', 'rolled_back', 'rejected', 'removed', 'skipped')
    AND (%(all)s OR mlapp_id = %(mlapp_id)s)
GROUP BY mlapp_id
"""
_ACTIVITY = """
SELECT mlapp_id, max(last_ingested_at) AS heard_of, sumIf(total, name = %(predictions)s) AS predictions
FROM statistics_by_day_state
WHERE %(all)s OR mlapp_id = %(mlapp_id)s
GROUP BY mlapp_id
"""

_MENTIONING = (
    "mlapps", "statistics_by_day_state", "structured_statistics", "events", "kpis", "models_log", "predictions", "deployment_transitions_log",
    "alert_transitions_log", "run_transitions_log", "actions",
)  # fmt: skip


@dataclass(slots=True)
class MLAppSummary:
    """One MLApp."""

    mlapp_id: str
    name: str = ""
    description: str = ""
    stage: str = ""
    """``production`` or ``sandbox``; empty while it is not defined."""
    version: int = 0
    """0: it reports, and nobody has defined it."""
    model_policy: str = ""
    applied_by: str = ""
    applied_at: datetime | None = None
    nodes: int = 0
    alerts: dict[str, int] = field(default_factory=dict)
    """Alerts that are firing or acknowledged, by severity."""
    live_models: int = 0
    """Nodes on which a model is live."""
    pending_reviews: int = 0
    predictions: float = 0.0
    """All that were ever counted."""
    heard_of: datetime | None = None
    """When its latest statistic arrived."""

    @property
    def health(self) -> str:
        """``critical``, ``warning``, ``good``, or ``unknown`` for one that was never heard of."""
        if self.alerts.get("critical"):
            return "critical"
        if self.alerts:
            return "warning"
        return "good" if self.heard_of else "unknown"


def mlapp_summaries(
    settings: Settings, *, mlapp_id: str | None = None, predictions: str = "pipelinestat.count"
) -> list[MLAppSummary]:
    """Every MLApp that is defined or has reported, by id, or the one of ``mlapp_id``.

    ``predictions`` names the statistic that counts them.
    """
    which = {"all": mlapp_id is None, "mlapp_id": mlapp_id or "", "predictions": predictions}
    found: dict[str, MLAppSummary] = {}
    for row in records(settings, _DEFINED, which):
        found[row["mlapp_id"]] = MLAppSummary(**row)

    def of(row: Mapping[str, Any]) -> MLAppSummary:
        return found.setdefault(row["mlapp_id"], MLAppSummary(row["mlapp_id"]))

    for row in records(settings, _ACTIVITY, which):
        summary = of(row)
        summary.heard_of, summary.predictions = row["heard_of"], row["predictions"]
    for row in records(settings, _ALERTS, which):
        of(row).alerts[row["severity"]] = row["alerts"]
    for row in records(settings, _DEPLOYMENTS, which):
        summary = of(row)
        summary.live_models, summary.pending_reviews = row["live"], row["pending"]
    return [found[mlapp_id] for mlapp_id in sorted(found)]


def is_mentioned(settings: Settings, mlapp_id: str) -> bool:
    """Whether any record is about an MLApp of this id: a page may link to it, be it defined or not."""
    asked = " UNION ALL ".join(
        f"(SELECT 1 FROM {table} WHERE mlapp_id = %(mlapp_id)s LIMIT 1)"  # noqa: S608 - our own names; values are parameters
        for table in _MENTIONING
    )
    return bool(records(settings, f"SELECT * FROM ({asked}) LIMIT 1", {"mlapp_id": mlapp_id}))  # noqa: S608 - as above
