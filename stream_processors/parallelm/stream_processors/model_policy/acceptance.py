"""A component has taken a model: before its request, again after a restart, from one of several agents, or too late."""

from __future__ import annotations

from dataclasses import replace

from parallelm.schemas.records import DeploymentState as State
from parallelm.stream_processors.model_policy import steps
from parallelm.stream_processors.model_policy.state import (
    LIVE_STATES,
    MAX_EARLY,
    Accepted,
    Deployment,
    MLAppDeployments,
    NodeDeployments,
)
from parallelm.stream_processors.model_policy.work import At, Outcome, Work, deployment_id_of


def on_accepted(known: MLAppDeployments, accepted: Accepted, at: At) -> Outcome:
    """What it changes depends on the latest deployment of the model on the node."""
    work = Work(known, at)
    node = known.node(accepted.node_id)
    if _is_repeated(known, node, accepted):
        return known, []
    if known.consumer(accepted.node_id) is not None:
        steps.note_agent(work, accepted)
    if node.find(accepted.model_id) is None:  # it came before the announcement, from another topic
        work.known = replace(work.known, early=(*known.early, accepted)[-MAX_EARLY:])
        return work.outcome
    deployment = _answered(work, accepted)
    if deployment is not None:
        steps.accept(work, accepted.node_id, deployment, accepted.agent_id, accepted.event_time_ms)
        steps.take_up(
            work, accepted.node_id
        )  # a canary on a share of the agents may have waited for one more
    return work.outcome


def on_refused(
    known: MLAppDeployments, node_id: str, model_id: str, agent_id: str, reason: str, at: At
) -> Outcome:
    """An agent did not take a model: a deployment that waits for it has failed, and so has a canary on that agent."""
    work = Work(known, at)
    deployment = known.find(node_id, model_id)
    if deployment is None:
        return known, []
    if deployment.state in {State.REQUESTED, State.ACCEPTED}:
        steps.fail(work, node_id, deployment, reason, "refused it")
    elif deployment.state is State.CANARY and agent_id in deployment.canary_agents:
        work.move(node_id, deployment, State.FAILED, reason)
        steps.take_up(work, node_id)
    return work.outcome


def _is_repeated(known: MLAppDeployments, node: NodeDeployments, accepted: Accepted) -> bool:
    """Whether this very acceptance was counted, or waits: a spool or a retry sends it again."""
    mark = (accepted.agent_id, accepted.event_time_ms)
    waits = any(replace(each, cause=accepted.cause) == accepted for each in known.early)
    return waits or any(
        each.model_id == accepted.model_id and mark in each.agents for each in node.deployments
    )


def _answered(work: Work, accepted: Accepted) -> Deployment | None:
    """The deployment that it confirms; None when that is over, or was overtaken."""
    node = work.node(accepted.node_id)
    takes = LIVE_STATES | {State.FAILED, State.CANARY}
    found = [
        each
        for each in node.deployments
        if each.model_id == accepted.model_id and each.state in takes and each.attempt
    ]
    if accepted.deployment_id:
        found = [
            each
            for each in found
            if accepted.deployment_id
            == deployment_id_of(work.known.mlapp_id, node.node_id, each.model_id, each.attempt)
        ]
    if not found:
        return None
    latest = found[-1]
    if latest.state is State.CANARY and accepted.agent_id not in latest.canary_agents:
        return None
    active = node.active
    overtaken = latest.state is State.FAILED and active is not None and active.attempt > latest.attempt
    return None if overtaken else latest
