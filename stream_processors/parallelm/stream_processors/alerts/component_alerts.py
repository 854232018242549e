"""Alerts that components raise themselves: events with ``is_alert``.

A component says when something is wrong and seldom when it is right again. So its alert fires at once, goes on with
each repetition, and is resolved when none has come for ``SILENCE_MS``, as Alertmanager's ``resolve_timeout`` does;
at once by a canary alert whose data says that the canary is healthy; and with its model, when it is about the health
of a model that is superseded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations at run time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parallelm.schemas.records import AlertState
from parallelm.schemas.well_known import ACKNOWLEDGE, CANARY_HEALTH, IS_HEALTHY, MODEL_HEALTH_ALERTS
from parallelm.stream_processors.alerts import ids
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.alerts.lifecycle import Step
from parallelm.stream_processors.alerts.transitions import closed_by, transition

if TYPE_CHECKING:
    from parallelm.schemas.records import AlertTransition, Event, UserAction
    from parallelm.stream_processors.alerts.transitions import Cause

SILENCE_MS = 24 * 3_600_000
"""How long after its last repetition an alert that a component raised counts as over."""
FORGET_MS = 7 * SILENCE_MS
"""How long an alert that is over is remembered, so that what is older than its end does not raise it again."""
RULE_TYPE = "component"
SEVERITY = "warning"


@dataclass(frozen=True, slots=True)
class ComponentAlert:
    """One alert of one component over its episodes; times are event time but for ``arrived_ms``."""

    fingerprint: str
    mlapp_id: str
    type: str
    title: str
    description: str
    node_id: str
    agent_id: str
    model_id: str
    labels: Mapping[str, str]
    """Those of its fingerprint, and ``alertname``, ``mlapp`` and ``severity``."""
    state: AlertState = AlertState.INACTIVE
    started_ms: int = 0
    last_ms: int = 0
    arrived_ms: int = 0
    """Broker's clock at the last repetition: silence is measured on it."""
    acknowledged_by: str = ""

    @property
    def due_ms(self) -> float | None:
        """When its silence ends it, or when it may be forgotten."""
        return self.arrived_ms + (SILENCE_MS if self.state is AlertState.FIRING else FORGET_MS)

    @property
    def alert_id(self) -> str:
        """Id of the episode."""
        return ids.alert_id(self.fingerprint, self.started_ms)

    @property
    def rule(self) -> str:
        """Its type stands where other alerts name their rule."""
        return self.type

    @property
    def rule_type(self) -> str:
        """No rule has raised it."""
        return RULE_TYPE

    @property
    def severity(self) -> str:
        """Components give none."""
        return SEVERITY

    @property
    def statistic(self) -> str:
        """Its type stands where other alerts name their statistic."""
        return self.type

    @property
    def threshold(self) -> float:
        """Components give none."""
        return math.nan

    @property
    def annotations(self) -> Mapping[str, str]:
        """Title and description of its last event."""
        return {"title": self.title, "description": self.description}

    @property
    def of_model(self) -> str:
        """Model whose end is the alert's end; empty when it outlives models."""
        return self.model_id if self.type in MODEL_HEALTH_ALERTS else ""


def alert_labels(event: Event) -> dict[str, str]:
    """Labels that distinguish this alert from others of its type."""
    who = {
        "node": event.origin.node_id,
        "agent": event.origin.agent_id,
        "pipeline": event.origin.pipeline_instance_id,
    }
    return dict(event.labels) | who | {"title": event.title}


def fingerprint_of(event: Event) -> str:
    """Fingerprint of the alert that an event belongs to."""
    return ids.fingerprint(event.origin.mlapp_id, event.type, alert_labels(event))


def new_alert(event: Event) -> ComponentAlert:
    """The alert of an event of a kind seen for the first time."""
    return ComponentAlert(
        fingerprint=fingerprint_of(event),
        mlapp_id=event.origin.mlapp_id,
        type=event.type,
        title=event.title,
        description=event.description,
        node_id=event.origin.node_id,
        agent_id=event.origin.agent_id,
        model_id=event.model_id,
        labels=alert_labels(event)
        | {"alertname": event.type, "mlapp": event.origin.mlapp_id, "severity": SEVERITY},
    )


def on_event(
    alert: ComponentAlert, event: Event, arrived_ms: int, cause: Cause
) -> tuple[ComponentAlert, list[AlertTransition]]:
    """Alert after an event; one older than what is known already changes nothing."""
    at_ms = int(judged_at(event.event_time_ms, arrived_ms))
    sent: list[AlertTransition] = []
    if alert.state is AlertState.FIRING and at_ms > alert.last_ms + SILENCE_MS:
        alert, sent = _resolved(alert, alert.last_ms + SILENCE_MS, _silence(), cause)
    if at_ms < alert.last_ms:
        return alert, sent
    if _is_healthy(event):
        if alert.state is not AlertState.FIRING:
            return replace(alert, last_ms=at_ms), sent
        alert, resolved = _resolved(alert, at_ms, "the component reports that it is healthy", cause)
        return replace(alert, last_ms=at_ms), sent + resolved
    alert = replace(
        alert,
        description=event.description,
        model_id=event.model_id,
        last_ms=at_ms,
        arrived_ms=max(arrived_ms, alert.arrived_ms),
    )
    if alert.state is AlertState.FIRING:
        return alert, sent
    before = alert.state
    # An episode's start is its identity: one that follows in the same millisecond begins in the next.
    started_ms = at_ms if before is AlertState.INACTIVE else max(at_ms, alert.started_ms + 1)
    alert = replace(alert, state=AlertState.FIRING, started_ms=started_ms, acknowledged_by="")
    step = Step(
        AlertState.FIRING, AlertState.INACTIVE, started_ms, started_ms, reason="the component raised it"
    )
    return alert, [*sent, transition(alert, step, cause)]


def on_tick(
    alert: ComponentAlert, cause: Cause, broker_ms: int
) -> tuple[ComponentAlert | None, list[AlertTransition]]:
    """Alert after the broker's clock has reached ``broker_ms``; None: forgotten.

    It ends in event time, ``SILENCE_MS`` after its last repetition.
    """
    if alert.due_ms is None or broker_ms < alert.due_ms:
        return alert, []
    if alert.state is not AlertState.FIRING:
        return None, []
    return _resolved(alert, alert.last_ms + SILENCE_MS, _silence(), cause)


def on_action(
    alert: ComponentAlert, action: UserAction, at_ms: int, cause: Cause
) -> tuple[ComponentAlert, list[AlertTransition]]:
    """Alert after a person has acknowledged or closed it; one that is over stays as it is."""
    if alert.state is not AlertState.FIRING:
        return alert, []
    if action.action == ACKNOWLEDGE:
        step = Step(AlertState.ACKNOWLEDGED, alert.state, at_ms, alert.started_ms, reason=action.comment)
        return replace(alert, acknowledged_by=action.who), [transition(alert, step, cause, who=action.who)]
    return _resolved(alert, max(at_ms, alert.last_ms), closed_by(action), cause, who=action.who)


def ended(alert: ComponentAlert, at_ms: int, reason: str, cause: Cause) -> list[AlertTransition]:
    """Transitions of an alert whose node or MLApp is gone."""
    if alert.state is not AlertState.FIRING:
        return []
    return _resolved(alert, max(at_ms, alert.last_ms), reason, cause)[1]


def on_superseded(
    alert: ComponentAlert, at_ms: int, successor: str, cause: Cause
) -> tuple[ComponentAlert, list[AlertTransition]]:
    """Alert after its model was superseded."""
    if alert.state is not AlertState.FIRING:
        return alert, []
    reason = f"model {alert.model_id} was superseded by {successor}"
    return _resolved(alert, max(at_ms, alert.last_ms), reason, cause)


def _silence() -> str:
    return f"not raised again within {SILENCE_MS // 3_600_000} h"


def _is_healthy(event: Event) -> bool:
    if event.type != CANARY_HEALTH:
        return False
    try:
        data = json.loads(event.data)
    except ValueError:  # free-form data of the component: it says nothing about health
        return False
    return isinstance(data, dict) and data.get(IS_HEALTHY) is True


def _resolved(
    alert: ComponentAlert, at_ms: int, reason: str, cause: Cause, *, who: str = ""
) -> tuple[ComponentAlert, list[AlertTransition]]:
    step = Step(
        AlertState.RESOLVED, alert.state, max(at_ms, alert.started_ms), alert.started_ms, reason=reason
    )
    return replace(alert, state=AlertState.RESOLVED), [transition(alert, step, cause, who=who)]
