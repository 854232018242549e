"""The decisions that one input leads to: the state as it changes, and the transitions that follow."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import (
    NO_RECORD,
    DeploymentState,
    DeploymentTransition,
    ModelPolicy,
    RecordPosition,
)
from parallelm.stream_processors.alerts.ids import digest
from parallelm.stream_processors.model_policy.settings import PolicySettings, policy_settings
from parallelm.stream_processors.model_policy.state import (
    MAX_BARRED,
    MAX_FINISHED,
    MAX_SKIPPED,
    Deployment,
    Measurements,
    MLAppDeployments,
    NodeDeployments,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Outcome = tuple[MLAppDeployments, list[DeploymentTransition]]


@dataclass(frozen=True, slots=True)
class At:
    """When and by what something happened."""

    event_ms: int
    broker_ms: int
    """The broker's clock: time limits are measured on it."""
    now_ms: int
    """The worker's clock: what ``decided_at`` says."""
    cause: RecordPosition = NO_RECORD
    who: str = ""


class Work:
    """One input's work on an MLApp."""

    def __init__(self, known: MLAppDeployments, at: At) -> None:
        self.known = known
        self.at = at
        self.sent: list[DeploymentTransition] = []

    @property
    def outcome(self) -> Outcome:
        """What is known now, without numbers that nobody asks for any more, and what is to be sent."""
        measured = self.known.measured
        if measured.canaries or measured.early:
            self.known = replace(self.known, measured=_still_needed(self.known))
        return self.known, self.sent

    def settings(self, node_id: str) -> PolicySettings:
        """Policy of a node."""
        consumer = self.known.consumer(node_id)
        return policy_settings(consumer.policy) if consumer is not None else PolicySettings()

    def node(self, node_id: str) -> NodeDeployments:
        """Deployments of a node."""
        return self.known.node(node_id)

    def put(self, node: NodeDeployments) -> None:
        """Remember a node, without the oldest of what has ended."""
        kept = _without_oldest(node.deployments)
        bounded = replace(node, deployments=kept, barred=node.barred[-MAX_BARRED:])
        others = [each for each in self.known.nodes if each.node_id != node.node_id]
        nodes = tuple(sorted((*others, bounded), key=lambda each: each.node_id))
        self.known = replace(self.known, nodes=nodes)

    def add(self, node_id: str, model_id: str, published: tuple[int, str], **more: Any) -> Deployment:
        """A new attempt to get a model to a node."""
        node = self.node(node_id)
        deployment = Deployment(
            model_id, node.attempts + 1, published, self.at.broker_ms, event_ms=self.at.event_ms, **more
        )
        self.put(replace(node, attempts=deployment.attempt, deployments=(*node.deployments, deployment)))
        return deployment

    def change(self, node_id: str, deployment: Deployment, **changes: Any) -> Deployment:
        """Remember something of a deployment; no transition follows."""
        changed: Deployment = replace(deployment, **changes)
        self._remember(node_id, changed)
        return changed

    def _remember(self, node_id: str, changed: Deployment) -> None:
        node = self.node(node_id)
        deployments = tuple(
            changed if each.attempt == changed.attempt and each.attempt else each for each in node.deployments
        )
        self.put(replace(node, deployments=deployments))

    def current(self, node_id: str, deployment: Deployment) -> Deployment:
        """A deployment as it is now."""
        return next(each for each in self.node(node_id).deployments if each.attempt == deployment.attempt)

    def move(
        self,
        node_id: str,
        deployment: Deployment,
        state: DeploymentState,
        reason: str,
        *,
        at_ms: int | None = None,
        related: str = "",
        agent_id: str = "",
        evidence: Mapping[str, object] | None = None,
        **changes: Any,
    ) -> Deployment:
        """Bring a deployment into a state, and send the transition."""
        event_ms = self.at.event_ms if at_ms is None else at_ms
        settled: dict[str, Any] = {}
        if state is not deployment.state or state is not DeploymentState.ACTIVE:
            settled = {"event_ms": event_ms, "since_ms": self.at.broker_ms, "due_ms": 0, "hold": ""}
        moved: Deployment = replace(
            deployment, state=state, steps=deployment.steps + 1, **(settled | changes)
        )
        if not moved.open:
            moved = replace(moved, ended_ms=event_ms, runs=(), canary_agents=(), due_ms=0)
        self._remember(node_id, moved)
        deployment_id = deployment_id_of(self.known.mlapp_id, node_id, moved.model_id, moved.attempt)
        transition_id = digest(deployment_id, state.value, deployment.state.value, moved.steps)
        self._send(
            node_id, moved.model_id, deployment_id, transition_id, state, reason,
            previous=deployment.state, attempt=moved.attempt, at_ms=event_ms, related=related, agent_id=agent_id,
            evidence=evidence,
        )  # fmt: skip
        return moved

    def answer(self, node_id: str, model_id: str, state: DeploymentState, reason: str) -> None:
        """Send what changes no deployment: the answer to a person, or a decision not to deploy."""
        cause = self.at.cause
        place = (cause.topic, cause.partition, cause.offset)
        deployment_id = deployment_id_of(self.known.mlapp_id, node_id, model_id, 0)
        if state is not DeploymentState.SKIPPED:
            deployment_id = digest(deployment_id, *place)
        transition_id = digest(deployment_id, state.value, *place)
        self._send(node_id, model_id, deployment_id, transition_id, state, reason)

    def skip(self, node_id: str, model_id: str, published: tuple[int, str], reason: str) -> None:
        """Say once that a model is not deployed, and why."""
        if node_id:
            node = self.node(node_id)
            skipped = Deployment(
                model_id, 0, published, self.at.broker_ms, DeploymentState.SKIPPED, ended_ms=self.at.event_ms
            )
            self.put(replace(node, deployments=(*node.deployments, skipped)))
        else:
            if model_id in self.known.skipped:
                return
            self.known = replace(self.known, skipped=(*self.known.skipped, model_id)[-MAX_SKIPPED:])
        self.answer(node_id, model_id, DeploymentState.SKIPPED, reason)

    def _send(
        self,
        node_id: str,
        model_id: str,
        deployment_id: str,
        transition_id: str,
        state: DeploymentState,
        reason: str,
        *,
        previous: DeploymentState = DeploymentState.UNKNOWN,
        attempt: int = 0,
        at_ms: int | None = None,
        related: str = "",
        agent_id: str = "",
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        kind = self.settings(node_id).kind if self.known.consumer(node_id) else ModelPolicy.ALWAYS_UPDATE
        self.sent.append(
            DeploymentTransition(
                event_time_ms=self.at.event_ms if at_ms is None else at_ms,
                decided_at_ms=self.at.now_ms,
                transition_id=transition_id,
                mlapp_id=self.known.mlapp_id,
                node_id=node_id,
                model_id=model_id,
                deployment_id=deployment_id,
                attempt=attempt,
                state=state,
                previous_state=previous,
                policy=kind,
                reason=reason,
                who=self.at.who,
                related_model_id=related,
                agent_id=agent_id,
                evidence_json=json.dumps(evidence or {}, sort_keys=True),
                cause=self.at.cause,
            )
        )


def _still_needed(known: MLAppDeployments) -> Measurements:
    """Numbers of canaries that run, and about models that no node has been offered."""
    running = {
        (node.node_id, each.attempt)
        for node in known.nodes
        for each in node.in_states(DeploymentState.CANARY)
    }
    offered = {each.model_id for node in known.nodes for each in node.deployments}
    gated = any(policy_settings(consumer.policy).before for consumer in known.consumers)
    return Measurements(
        tuple(each for each in known.measured.early if gated and each.model_id not in offered),
        tuple(each for each in known.measured.canaries if (each.node_id, each.attempt) in running),
    )


def deployment_id_of(mlapp_id: str, node_id: str, model_id: str, attempt: int) -> str:
    """Id of one deployment."""
    return digest(mlapp_id, node_id, model_id, attempt)


def _without_oldest(deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """Without the oldest of what has ended: of those that were live, of others, and of decisions not to deploy."""
    gone: set[tuple[int, str]] = set()
    ended = [each for each in deployments if not each.open and each.state is not DeploymentState.UNKNOWN]
    for alike in (
        [each for each in ended if each.was_active],
        [each for each in ended if not each.was_active and each.attempt],
        [each for each in ended if not each.attempt],
    ):
        gone |= {(each.attempt, each.model_id) for each in alike[: max(0, len(alike) - MAX_FINISHED)]}
    return tuple(each for each in deployments if (each.attempt, each.model_id) not in gone)
