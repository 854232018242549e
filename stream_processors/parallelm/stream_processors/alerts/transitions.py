"""The record of a change of an alert's state, whether a rule or a component has raised the alert."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.records import AlertTransition, RecordPosition
from parallelm.stream_processors.alerts import ids

if TYPE_CHECKING:
    from parallelm.schemas.records import UserAction
    from parallelm.stream_processors.alerts.book import OpenAlert
    from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
    from parallelm.stream_processors.alerts.lifecycle import Step


@dataclass(frozen=True, slots=True)
class Cause:
    """The record that led to a transition, and the worker's clock."""

    position: RecordPosition
    now_ms: int


def closed_by(action: UserAction) -> str:
    """Reason of an alert that a person has closed."""
    return f"closed by {action.who}" + (f": {action.comment}" if action.comment else "")


def transition(
    alert: OpenAlert | ComponentAlert, step: Step, cause: Cause, *, who: str = "", supersedes: str = ""
) -> AlertTransition:
    """Record of a change of an alert's state. ``supersedes`` is the id of the transition that it corrects."""
    return AlertTransition(
        event_time_ms=int(step.at_ms),
        decided_at_ms=cause.now_ms,
        transition_id=ids.transition_id(alert.fingerprint, step, cause.position, who),
        mlapp_id=alert.mlapp_id,
        alert_id=alert.alert_id,
        fingerprint=alert.fingerprint,
        rule=alert.rule,
        rule_type=alert.rule_type,
        state=step.state,
        previous_state=step.previous_state,
        severity=alert.severity,
        started_at_ms=alert.started_ms,
        value=step.value,
        threshold=alert.threshold if math.isnan(step.threshold) else step.threshold,
        statistic=alert.statistic,
        node_id=alert.node_id,
        model_id=alert.model_id,
        labels=dict(alert.labels),
        annotations=dict(alert.annotations),
        reason=step.reason,
        who=who,
        supersedes=supersedes,
        cause=cause.position,
    )
