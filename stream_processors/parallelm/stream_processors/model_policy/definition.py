"""A definition was applied or removed: nodes come, change and go, and with them their deployments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.definitions.node_types import CONSUMERS
from parallelm.schemas.records import DeploymentState as State
from parallelm.schemas.records import ModelPolicy
from parallelm.stream_processors.model_policy import canaries, steps
from parallelm.stream_processors.model_policy.announcements import offer_to_all
from parallelm.stream_processors.model_policy.settings import policy_settings
from parallelm.stream_processors.model_policy.state import (
    MAX_FORMER_NODES,
    OPEN,
    Consumer,
    MLAppDeployments,
    NodeDeployments,
)
from parallelm.stream_processors.model_policy.work import At, Outcome, Work

if TYPE_CHECKING:
    from parallelm.schemas.records import MLAppDefinition
    from parallelm.stream_processors.model_policy.state import Announced


def on_definition(known: MLAppDeployments, definition: MLAppDefinition | None, at: At) -> Outcome:
    """None: the MLApp was removed. Raises ``ValueError`` when a policy cannot be read."""
    if definition is not None and definition.version < known.version:
        return known, []
    consumers = () if definition is None else _consumers(definition)
    version = 0 if definition is None else definition.version
    work = Work(known, at)
    before = {consumer.node_id: consumer for consumer in known.consumers}
    after = {consumer.node_id: consumer for consumer in consumers}
    gone = "MLApp was removed" if definition is None else "node was removed from the MLApp"
    for node_id in before.keys() - after.keys():
        _remove(work, node_id, f"the {gone}")
    work.known = replace(work.known, version=version, consumers=consumers)
    for node_id in before.keys() & after.keys():
        if before[node_id].policy != after[node_id].policy:
            _change_policy(work, node_id)
    _forget(work)
    if definition is None:
        return work.outcome
    added = [consumer for consumer in consumers if consumer.node_id not in before]
    latest = sorted(work.known.latest, key=lambda each: each.published)
    for consumer in added:
        newest = [each for each in latest if consumer.takes_from(each.producer_node_id)]
        if newest:
            _offer_again(work, consumer, newest[-1])
    waiting = work.known.waiting
    work.known = replace(work.known, waiting=())
    for announced in waiting:
        work.at = replace(at, event_ms=announced.event_time_ms, cause=announced.cause)
        offer_to_all(work, announced)
    return work.outcome


def canary_nodes(known: MLAppDeployments) -> set[str]:
    """Nodes that stand in for others: they get a model from the canary of those."""
    found = [policy_settings(each.policy) for each in known.consumers]
    return {each.canary.node for each in found if each.kind is ModelPolicy.CANARY} - {""}


def _consumers(definition: MLAppDefinition) -> tuple[Consumer, ...]:
    found = tuple(
        Consumer(
            node.node_id,
            tuple(node.consumes),
            definition.node_policies.get(node.node_id, definition.policy),
        )
        for node in definition.nodes
        if node.type in CONSUMERS
    )
    for consumer in found:
        policy_settings(consumer.policy)
    return found


def _offer_again(work: Work, consumer: Consumer, announced: Announced) -> None:
    from parallelm.stream_processors.model_policy.announcements import offer_to

    offer_to(work, consumer, announced)


def _remove(work: Work, node_id: str, reason: str) -> None:
    """All that is open on it ends; its count of deployments and what is barred are remembered."""
    for deployment in work.node(node_id).in_states(*OPEN):
        work.move(node_id, deployment, State.REMOVED, reason)
    node = work.node(node_id)
    work.put(
        replace(
            NodeDeployments(node_id, node.attempts, barred=node.barred, former=node.attempts),
            deployments=tuple(each for each in node.deployments if each.was_active),
        )
    )


def _change_policy(work: Work, node_id: str) -> None:
    """What waits for the policy is judged anew; a pending review stays one, and limits begin again."""
    for candidate in work.node(node_id).in_states(State.HELD, State.CANARY):
        current = candidate
        if candidate.state is State.CANARY:
            reason = "the policy changed while the canary ran: it is judged anew"
            if candidate.canary_node:
                canaries.take_away(work, node_id, candidate, reason)
            current = work.move(
                node_id, work.current(node_id, candidate), State.HELD, reason, hold=reason, canary_node="",
                canary_agents=(), decided_ms=work.at.broker_ms,
            )  # fmt: skip
        steps.advance(work, node_id, replace(current, runs=()))
    settings = work.settings(node_id)
    limits = {
        State.REQUESTED: settings.accept_timeout_ms,
        State.ACCEPTED: settings.accept_timeout_ms,
        State.AWAITING_APPROVAL: settings.review_timeout_ms,
    }
    for deployment in work.node(node_id).in_states(*limits):
        limit_ms = limits[deployment.state]
        work.change(node_id, deployment, due_ms=deployment.since_ms + limit_ms if limit_ms else 0)
    for live in work.node(node_id).in_states(State.ACTIVE):
        work.change(node_id, live, runs=(), due_ms=0)


def _forget(work: Work) -> None:
    """Of removed nodes only the last are remembered."""
    present = {consumer.node_id for consumer in work.known.consumers}
    former = [node for node in work.known.nodes if node.node_id not in present]
    gone = {node.node_id for node in former[: max(0, len(former) - MAX_FORMER_NODES)]}
    gone |= {node.node_id for node in former if not node.attempts}
    work.known = replace(
        work.known, nodes=tuple(node for node in work.known.nodes if node.node_id not in gone)
    )
