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

from parallelm.schemas.records import AlertState, AlertTransition, RecordPosition
from parallelm.schemas.well_known import CANARY_HEALTH, IS_HEALTHY, MODEL_HEALTH_ALERTS
from parallelm.stream_processors.alerts import ids
from parallelm.stream_processors.alerts.lifecycle import Step

if TYPE_CHECKING:
    from parallelm.schemas.records import Event

SILENCE_MS = 24 * 3_600_000
"""How long after its last repetition an alert that a component raised counts as over."""
RULE_TYPE = "event"


@dataclass(frozen=True, slots=True)
class ComponentAlert:
    """One alert of one component over its episodes; times are event time but for ``arrived_ms``."""

    fingerprint: str
    mlapp_id: str
    type: str
    title: str
    description: str
    node_id: str
    model_id: str
    labels: Mapping[str, str]
    state: AlertState = AlertState.INACTIVE
    started_ms: int = 0
    last_ms: int = 0
    arrived_ms: int = 0
    """Broker's clock at the last repetition: silence is measured on it."""

    @property
    def due_ms(self) -> float | None:
        """When its silence ends it."""
        return self.arrived_ms + SILENCE_MS if self.state is AlertState.FIRING else None

    @property
    def of_model(self) -> str:
        """Model whose end is the alert's end; empty when it outlives models."""
        return self.model_id if self.type in MODEL_HEALTH_ALERTS else ""


def alert_labels(event: Event) -> dict[str, str]:
    """Labels that distinguish this alert from others of its type."""
    who = {"node": event.origin.node_id, "agent": event.origin.agent_id}
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
        model_id=event.model_id,
        labels=alert_labels(event),
    )


def on_event(
    alert: ComponentAlert, event: Event, arrived_ms: int, cause: RecordPosition, now_ms: int
) -> tuple[ComponentAlert, list[AlertTransition]]:
    """Alert after an event; one older than what is known already changes nothing."""
    at_ms = event.event_time_ms
    sent: list[AlertTransition] = []
    if alert.state is AlertState.FIRING and at_ms > alert.last_ms + SILENCE_MS:
        alert, sent = _resolved(alert, alert.last_ms + SILENCE_MS, _silence(), cause, now_ms)
    if at_ms < alert.last_ms:
        return alert, sent
    if _is_healthy(event):
        if alert.state is not AlertState.FIRING:
            return replace(alert, last_ms=at_ms), sent
        alert, resolved = _resolved(alert, at_ms, "the component reports that it is healthy", cause, now_ms)
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
    before, alert = alert.state, replace(alert, state=AlertState.FIRING, started_ms=at_ms)
    return alert, [*sent, _transition(alert, before, at_ms, "the component raised it", cause, now_ms)]


def on_tick(
    alert: ComponentAlert, cause: RecordPosition, now_ms: int
) -> tuple[ComponentAlert, list[AlertTransition]]:
    """Alert after time has passed; it ends in event time, ``SILENCE_MS`` after its last repetition."""
    if alert.state is not AlertState.FIRING or now_ms - alert.arrived_ms < SILENCE_MS:
        return alert, []
    return _resolved(alert, alert.last_ms + SILENCE_MS, _silence(), cause, now_ms)


def on_superseded(
    alert: ComponentAlert, at_ms: int, successor: str, cause: RecordPosition, now_ms: int
) -> tuple[ComponentAlert, list[AlertTransition]]:
    """Alert after its model was superseded."""
    if alert.state is not AlertState.FIRING:
        return alert, []
    reason = f"model {alert.model_id} was superseded by {successor}"
    return _resolved(alert, max(at_ms, alert.last_ms), reason, cause, now_ms)


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
    alert: ComponentAlert, at_ms: int, reason: str, cause: RecordPosition, now_ms: int
) -> tuple[ComponentAlert, list[AlertTransition]]:
    before, alert = alert.state, replace(alert, state=AlertState.RESOLVED)
    return alert, [_transition(alert, before, at_ms, reason, cause, now_ms)]


def _transition(
    alert: ComponentAlert, before: AlertState, at_ms: int, reason: str, cause: RecordPosition, now_ms: int
) -> AlertTransition:
    step = Step(alert.state, before, at_ms, alert.started_ms, math.nan)
    return AlertTransition(
        event_time_ms=at_ms,
        decided_at_ms=now_ms,
        transition_id=ids.transition_id(alert.fingerprint, step, 0),
        mlapp_id=alert.mlapp_id,
        alert_id=ids.alert_id(alert.fingerprint, alert.started_ms),
        fingerprint=alert.fingerprint,
        rule=alert.type,
        rule_type=RULE_TYPE,
        state=alert.state,
        previous_state=before,
        severity="warning",
        started_at_ms=alert.started_ms,
        value=math.nan,
        threshold=math.nan,
        statistic=alert.type,
        node_id=alert.node_id,
        model_id=alert.model_id,
        labels=dict(alert.labels),
        annotations={"title": alert.title, "description": alert.description},
        reason=reason,
        who="",
        supersedes="",
        cause=cause,
    )
