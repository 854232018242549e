"""An alert fired: where the policy says so, the model that it is about is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.records import AlertState
from parallelm.schemas.records import DeploymentState as State
from parallelm.stream_processors.model_policy import steps
from parallelm.stream_processors.model_policy.work import At, Outcome, Work

if TYPE_CHECKING:
    from parallelm.schemas.records import AlertTransition
    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Deployment, MLAppDeployments


def on_alert(known: MLAppDeployments, alert: AlertTransition, at: At) -> Outcome:
    """Only an episode that began while the model was live is taken to be of its making."""
    work = Work(known, at)
    if alert.state is not AlertState.FIRING:
        return work.outcome
    for consumer in known.consumers:
        node_id, settings = consumer.node_id, work.settings(consumer.node_id)
        if not _matches(settings, alert):
            continue
        reason = f"alert {alert.rule!r} ({alert.severity}) fired: {alert.reason}"
        for candidate in work.node(node_id).in_states(State.CANARY):
            if _is_about_canary(node_id, candidate, alert):
                steps.roll_back(work, node_id, candidate, reason, evidence=_evidence(alert))
        live = work.node(node_id).active
        if live is not None and _is_about(node_id, live, alert):
            take_back(work, node_id, live, reason, _evidence(alert))
    return work.outcome


def take_back(work: Work, node_id: str, live: Deployment, reason: str, evidence: dict[str, object]) -> None:
    """Roll back a live model on the policy's own account, where there is a way back and nobody has pinned it."""
    node = work.node(node_id)
    if node.pinned is not None:
        why = f"{node.pinned.who} has pinned the node to it"
    elif node.previous(live) is None:
        why = "there is no earlier model to go back to"
    else:
        steps.roll_back(work, node_id, live, reason, evidence=evidence)
        return
    work.answer(node_id, live.model_id, State.REFUSED, f"not rolled back, since {why}; {reason}")


def _matches(settings: PolicySettings, alert: AlertTransition) -> bool:
    return any(
        (not wanted.rule or wanted.rule == alert.rule)
        and (not wanted.severity or wanted.severity == alert.severity)
        for wanted in settings.rollback_on
    )


def _is_about(node_id: str, live: Deployment, alert: AlertTransition) -> bool:
    return (
        alert.node_id == node_id
        and alert.model_id in {"", live.model_id}
        and alert.started_at_ms >= live.event_ms
    )


def _is_about_canary(node_id: str, candidate: Deployment, alert: AlertTransition) -> bool:
    if alert.node_id == candidate.canary_node and candidate.canary_node:
        return alert.model_id in {"", candidate.model_id} and alert.started_at_ms >= candidate.event_ms
    return alert.node_id == node_id and alert.model_id == candidate.model_id


def _evidence(alert: AlertTransition) -> dict[str, object]:
    numbers = {"value": alert.value, "threshold": alert.threshold}
    finite = {name: value for name, value in numbers.items() if abs(value) < float("inf")}
    return {"alert": {"alert_id": alert.alert_id, "rule": alert.rule, "severity": alert.severity} | finite}
