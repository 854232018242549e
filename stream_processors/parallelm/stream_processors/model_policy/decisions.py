"""The decisions on one MLApp's models: requested, accepted, active, superseded, failed, or not deployed and why.

Each function takes what is known and one thing that happened, and gives what is known after it and the decisions to
send. The same things in any order across topics lead to the same decisions: what comes too early waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.definitions.node_types import CONSUMERS
from parallelm.schemas.records import DeploymentState, DeploymentTransition, MLAppDefinition, RecordPosition
from parallelm.stream_processors.alerts.ids import digest
from parallelm.stream_processors.model_policy.state import (
    DEFINITION_WAIT_MS,
    LIVE_STATES,
    MAX_EARLY,
    MAX_FINISHED,
    MAX_WAITING,
    Accepted,
    Announced,
    Consumer,
    Deployment,
    MLAppDeployments,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Outcome = tuple[MLAppDeployments, list[DeploymentTransition]]


def on_definition(
    known: MLAppDeployments, definition: MLAppDefinition | None, cause: RecordPosition, now_ms: int
) -> Outcome:
    """A definition arrived: models that waited for it are deployed, and a node that is new gets the latest model.

    None: the MLApp was removed; what is announced from now on waits.
    """
    if definition is None:
        return replace(known, version=0, consumers=()), []
    if definition.version < known.version:
        return known, []
    consumers = tuple(
        Consumer(node.node_id, tuple(node.consumes)) for node in definition.nodes if node.type in CONSUMERS
    )
    new_nodes = {consumer.node_id for consumer in consumers} - {old.node_id for old in known.consumers}
    waiting, first = known.waiting, known.version == 0
    known = replace(
        known,
        version=definition.version,
        policy=definition.policy.model_policy,
        accept_timeout_ms=definition.policy.accept_timeout_ms,
        consumers=consumers,
        waiting=(),
    )
    sent: list[DeploymentTransition] = []
    for announced in waiting:
        known, decided = _apply_policy(known, announced, known.consumers, now_ms)
        sent += decided
    if first or not new_nodes:
        return known, sent
    added = [consumer for consumer in consumers if consumer.node_id in new_nodes]
    for announced in known.latest:
        again = replace(announced, event_time_ms=definition.event_time_ms, cause=cause)
        takers = [consumer for consumer in added if consumer.takes_from(announced.producer_node_id)]
        if takers:
            known, decided = _apply_policy(known, again, takers, now_ms)
            sent += decided
    return known, sent


def on_announcement(known: MLAppDeployments, announced: Announced, now_ms: int) -> Outcome:
    """A model was announced: it is requested for every node that consumes it, or waits for the definition."""
    if known.version == 0:
        if any(waiting.model_id == announced.model_id for waiting in known.waiting):
            return known, []
        return replace(known, waiting=(*known.waiting, announced)[-MAX_WAITING:]), []
    return _apply_policy(known, announced, known.consumers, now_ms)


def on_accepted(known: MLAppDeployments, accepted: Accepted, now_ms: int) -> Outcome:
    """A component took a model. Before its request it waits; again after a restart it changes nothing."""
    deployment = known.find(accepted.node_id, accepted.model_id)
    if deployment is None:
        others = tuple(
            early
            for early in known.early
            if (early.node_id, early.model_id) != (accepted.node_id, accepted.model_id)
        )
        if len(others) < len(known.early):
            return known, []
        return replace(known, early=(*others, accepted)[-MAX_EARLY:]), []
    if deployment.state is DeploymentState.FAILED and _overtaken(known, deployment):
        return known, []
    if deployment.state not in {DeploymentState.REQUESTED, DeploymentState.FAILED}:
        return known, []
    return _activate(known, deployment, accepted, now_ms)


def on_tick(known: MLAppDeployments, cause: RecordPosition, now_ms: int) -> Outcome:
    """Time passed: requests that nobody accepted fail, and models that no definition claims are reported."""
    sent: list[DeploymentTransition] = []
    for deployment in known.deployments:
        overdue = known.accept_timeout_ms and now_ms - deployment.arrived_ms >= known.accept_timeout_ms
        if deployment.state is DeploymentState.REQUESTED and overdue:
            reason = f"no component accepted it within {format_duration(known.accept_timeout_ms)}"
            at_ms = deployment.requested_ms + known.accept_timeout_ms
            known, decided = _move(known, deployment, DeploymentState.FAILED, at_ms, reason, cause, now_ms)
            sent.append(decided)
    waiting = []
    for announced in known.waiting:
        if not announced.reported and now_ms - announced.arrived_ms >= DEFINITION_WAIT_MS:
            reason = f"MLApp {known.mlapp_id!r} has no definition; the model is deployed when one is applied"
            known, skipped = _skip(known, announced, reason, now_ms)
            sent += skipped
            announced = replace(announced, reported=True)  # noqa: PLW2901 - the same announcement, marked
        waiting.append(announced)
    return replace(known, waiting=tuple(waiting)), sent


def _apply_policy(
    known: MLAppDeployments, announced: Announced, consumers: Iterable[Consumer], now_ms: int
) -> Outcome:
    """``always_update``: request the model for each node that takes it and has not had it."""
    takers = [consumer for consumer in consumers if consumer.takes_from(announced.producer_node_id)]
    if not takers:
        reason = f"no node consumes models of node {announced.producer_node_id!r}"
        return _skip(known, announced, reason, now_ms)
    sent: list[DeploymentTransition] = []
    for consumer in takers:
        if known.find(consumer.node_id, announced.model_id) is None:
            known, decided = _request(known, announced, consumer.node_id, now_ms)
            sent += decided
    return known, sent


def _request(known: MLAppDeployments, announced: Announced, node_id: str, now_ms: int) -> Outcome:
    deployment = Deployment(
        node_id, announced.model_id, DeploymentState.UNKNOWN, announced.event_time_ms, announced.arrived_ms
    )
    known = _remember(known, deployment, announced)
    reason = f"policy {known.policy.value}: every new model is deployed"
    known, decided = _move(
        known, deployment, DeploymentState.REQUESTED, announced.event_time_ms, reason, announced.cause, now_ms
    )
    sent = [decided]
    early = [each for each in known.early if (each.node_id, each.model_id) == (node_id, announced.model_id)]
    if early:
        known = replace(known, early=tuple(each for each in known.early if each not in early))
        known, activated = on_accepted(known, early[0], now_ms)
        sent += activated
    return known, sent


def _activate(known: MLAppDeployments, deployment: Deployment, accepted: Accepted, now_ms: int) -> Outcome:
    """Accepted and active in one go; what was live or requested before it on the node is superseded."""
    at_ms, cause = accepted.event_time_ms, accepted.cause
    late = " after its time-out" if deployment.state is DeploymentState.FAILED else ""
    reason = f"a component on agent {accepted.agent_id!r} downloaded it and its checksum holds{late}"
    previous = known.active(deployment.node_id)
    older = _older(known, deployment)
    known, took = _move(
        known, deployment, DeploymentState.ACCEPTED, at_ms, reason, cause, now_ms, agent_id=accepted.agent_id
    )
    accepted_deployment = replace(deployment, state=DeploymentState.ACCEPTED)
    related = previous.model_id if previous else ""
    known, live = _move(
        known,
        accepted_deployment,
        DeploymentState.ACTIVE,
        at_ms,
        f"in place of model {related}" if related else "the node's first model",
        cause,
        now_ms,
        agent_id=accepted.agent_id,
        related=related,
    )
    sent = [took, live]
    for old in older:
        reason = f"model {deployment.model_id} is active on node {deployment.node_id!r}"
        known, ended = _move(
            known, old, DeploymentState.SUPERSEDED, at_ms, reason, cause, now_ms, related=deployment.model_id
        )
        sent.append(ended)
    return known, sent


def _older(known: MLAppDeployments, deployment: Deployment) -> list[Deployment]:
    """What the activation of a deployment supersedes: the active one, and requests made before its own."""
    same_node = [each for each in known.deployments if each.node_id == deployment.node_id]
    earlier = same_node[: same_node.index(deployment)]
    requested = [each for each in earlier if each.state is DeploymentState.REQUESTED]
    active = [each for each in same_node if each.state is DeploymentState.ACTIVE]
    return requested + active


def _move(
    known: MLAppDeployments,
    deployment: Deployment,
    state: DeploymentState,
    at_ms: int,
    reason: str,
    cause: RecordPosition,
    now_ms: int,
    *,
    related: str = "",
    agent_id: str = "",
) -> tuple[MLAppDeployments, DeploymentTransition]:
    moved = replace(deployment, state=state)
    if state is DeploymentState.SUPERSEDED:
        moved = replace(moved, superseded_by=related, ended_ms=at_ms)
    deployments = tuple(moved if each == deployment else each for each in known.deployments)
    transition = _transition(
        known, deployment.node_id, deployment.model_id, state, deployment.state, at_ms, reason, cause, now_ms
    )
    complete = replace(transition, related_model_id=related, agent_id=agent_id)
    return replace(known, deployments=deployments), complete


def _skip(known: MLAppDeployments, announced: Announced, reason: str, now_ms: int) -> Outcome:
    """Say once that a model is not deployed, and why."""
    if known.find("", announced.model_id) is not None:
        return known, []
    at_ms, model_id = announced.event_time_ms, announced.model_id
    deployment = Deployment("", model_id, DeploymentState.UNKNOWN, at_ms, announced.arrived_ms)
    known = _remember(known, deployment, announced)
    known, decided = _move(known, deployment, DeploymentState.SKIPPED, at_ms, reason, announced.cause, now_ms)
    return known, [decided]


def _transition(
    known: MLAppDeployments,
    node_id: str,
    model_id: str,
    state: DeploymentState,
    previous: DeploymentState,
    at_ms: int,
    reason: str,
    cause: RecordPosition,
    now_ms: int,
) -> DeploymentTransition:
    deployment_id = digest(known.mlapp_id, node_id, model_id)
    return DeploymentTransition(
        event_time_ms=at_ms,
        decided_at_ms=now_ms,
        transition_id=digest(deployment_id, state.value, previous.value),
        mlapp_id=known.mlapp_id,
        node_id=node_id,
        model_id=model_id,
        deployment_id=deployment_id,
        state=state,
        previous_state=previous,
        policy=known.policy,
        reason=reason,
        who="",
        related_model_id="",
        agent_id="",
        cause=cause,
    )


def _overtaken(known: MLAppDeployments, deployment: Deployment) -> bool:
    """Whether a model requested later is already active on the node."""
    active = known.active(deployment.node_id)
    deployments = known.deployments
    return active is not None and deployments.index(active) > deployments.index(deployment)


def _remember(known: MLAppDeployments, deployment: Deployment, announced: Announced) -> MLAppDeployments:
    others = [each for each in known.latest if each.producer_node_id != announced.producer_node_id]
    deployments = _bounded((*known.deployments, deployment))
    return replace(known, deployments=deployments, latest=(*others, announced))


def _bounded(deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Without the oldest of those that have ended, when they are too many."""
    live = LIVE_STATES | {DeploymentState.UNKNOWN}
    ended = [each for each in deployments if each.state not in live]
    gone = set(ended[: max(0, len(ended) - MAX_FINISHED)])
    return tuple(each for each in deployments if each not in gone)
