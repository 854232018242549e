"""Time passed, by the broker's clock: limits end, windows open, and models that no definition claims are reported."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import DeploymentState as State
from parallelm.stream_processors.model_policy import canaries, steps
from parallelm.stream_processors.model_policy.gates import GateRun
from parallelm.stream_processors.model_policy.measurements import judge_after
from parallelm.stream_processors.model_policy.state import DEFINITION_WAIT_MS
from parallelm.stream_processors.model_policy.work import At, Outcome, Work

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.state import Deployment, MLAppDeployments


def on_tick(known: MLAppDeployments, broker_ms: int, now_ms: int) -> Outcome:
    """Afterwards nothing is due at this time any more."""
    work = Work(known, At(broker_ms, broker_ms, now_ms))
    due = [
        (each.due_ms, node.node_id, each)
        for node in known.nodes
        for each in node.deployments
        if 0 < each.due_ms <= broker_ms
    ]
    for _, node_id, found in sorted(due, key=lambda each: (each[0], each[1], each[2].attempt)):
        deployment = work.current(node_id, found)
        if 0 < deployment.due_ms <= broker_ms:  # else an earlier one has settled it
            # Event time goes on with the broker's: a replay's limits end in its own time.
            work.at = replace(work.at, event_ms=deployment.event_ms + deployment.due_ms - deployment.since_ms)
            _settle(work, node_id, work.change(node_id, deployment, due_ms=0))
    _report_waiting(work, broker_ms)
    return work.outcome


def _settle(work: Work, node_id: str, deployment: Deployment) -> None:
    settings = work.settings(node_id)
    match deployment.state:
        case State.REQUESTED | State.ACCEPTED:
            _fail(work, node_id, deployment)
        case State.AWAITING_APPROVAL:
            reason = f"nobody reviewed it within {format_duration(settings.review_timeout_ms)}"
            steps.reject(work, node_id, deployment, reason, bar=False)
        case State.CANARY:
            canaries.on_time_limit(work, node_id, deployment)
        case State.HELD:
            steps.advance(work, node_id, deployment)
        case State.ACTIVE if settings.after:
            runs = deployment.runs or tuple(GateRun() for _ in settings.after)
            judge_after(work, node_id, work.change(node_id, deployment, runs=runs), runs)
            _wait_for_next_gate(work, node_id, deployment)


def _fail(work: Work, node_id: str, deployment: Deployment) -> None:
    settings = work.settings(node_id)
    within = format_duration(settings.accept_timeout_ms)
    some = ", ".join(sorted(name for name, _ in deployment.agents))
    who = f"only agents {some} accepted" if some else "no component accepted"
    if some:
        _forget_silent_agents(work, node_id, deployment)
    steps.fail(work, node_id, deployment, f"{who} it within {within}", f"did not accept it within {within}")


def _forget_silent_agents(work: Work, node_id: str, deployment: Deployment) -> None:
    """Agents that did not answer are taken to be gone: the next deployment does not wait for them."""
    node = work.node(node_id)
    answered = {name for name, _ in deployment.agents}
    work.put(replace(node, agents=tuple(each for each in node.agents if each.agent_id in answered)))


def _wait_for_next_gate(work: Work, node_id: str, before: Deployment) -> None:
    live = work.current(node_id, before)
    if live.state is not State.ACTIVE or live.due_ms:
        return
    later = [
        live.since_ms + gate.wait_ms
        for gate in work.settings(node_id).after
        if gate.wait_ms and live.since_ms + gate.wait_ms > work.at.broker_ms
    ]
    if later:
        work.change(node_id, live, due_ms=min(later))


def _report_waiting(work: Work, broker_ms: int) -> None:
    waiting = []
    for announced in work.known.waiting:
        if not announced.reported and broker_ms - announced.arrived_ms >= DEFINITION_WAIT_MS:
            reason = (
                f"MLApp {work.known.mlapp_id!r} has no definition; the model is deployed when one is applied"
            )
            work.at = replace(work.at, event_ms=announced.event_time_ms, cause=announced.cause)
            work.skip("", announced.model_id, announced.published, reason)
            announced = replace(announced, reported=True)  # noqa: PLW2901 - the same announcement, marked
        waiting.append(announced)
    work.known = replace(work.known, waiting=tuple(waiting))
