"""What happens to a deployment: offered, held, requested, accepted, superseded, rejected, rolled back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.records import DeploymentState as State
from parallelm.schemas.records import ModelPolicy
from parallelm.stream_processors.model_policy import gates, holding, signatures
from parallelm.stream_processors.model_policy.gates import GateRun, GateVerdict
from parallelm.stream_processors.model_policy.policies import POLICIES
from parallelm.stream_processors.model_policy.state import (
    MAX_AGENTS,
    MAX_REVIEWS,
    AgentModel,
    Deployment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Accepted, Announced, NodeDeployments
    from parallelm.stream_processors.model_policy.work import Work

    Evidence = Mapping[str, object] | None


def offer(work: Work, node_id: str, announced: Announced) -> None:
    """A model was published for a node: it becomes the node's candidate, unless a newer one was there before."""
    node, model_id, published = work.node(node_id), announced.model_id, announced.published
    known = node.find(model_id)
    if known is not None and (not known.attempt or known.attempt > node.former):
        return
    if published <= node.newest:
        reason = f"model {node.newest[1]} was published later"
        work.skip(node_id, model_id, published, reason)
        return
    if reason := signatures.refusal(work, node_id, model_id):  # and it takes no other model's place
        work.skip(node_id, model_id, published, reason)
        return
    work.put(replace(node, newest=published))
    if model_id in node.barred:
        reason = "it was rolled back or rejected on this node: only a person deploys it again"
        work.skip(node_id, model_id, published, reason)
        return
    settings = work.settings(node_id)
    replaced = [each for each in node.pending if each.state is not State.AWAITING_APPROVAL]
    reviews = node.in_states(State.AWAITING_APPROVAL)
    replaced += reviews[: max(0, len(reviews) + 1 - MAX_REVIEWS)]
    for older in replaced:
        supersede(work, node_id, older, model_id, f"model {model_id} was published")
    candidate = work.add(node_id, model_id, published, runs=holding.early_runs(work, settings, model_id))
    advance(work, node_id, candidate)


def advance(
    work: Work, node_id: str, candidate: Deployment, *, why: str = "", evidence: Evidence = None
) -> None:
    """Take a candidate as far as its gates, its policy and the node let it go now."""
    settings, node = work.settings(node_id), work.node(node_id)
    if refusal := signatures.refusal(work, node_id, candidate.model_id):
        reject(work, node_id, candidate, refusal, bar=False)
        return
    if node.pinned is not None and not candidate.forced:
        pin = node.pinned
        hold(work, node_id, candidate, f"{pin.who} has pinned the node to model {pin.model_id}", 0, evidence)
        return
    reason = why
    state = State.REQUESTED
    if not candidate.cleared:
        if not _passes_gates(work, settings, node_id, candidate):
            return
        state, reason = POLICIES[settings.kind].next_step(settings, node, candidate)
        evidence = (
            gates.evidence(settings.before, holding.runs(settings, candidate))
            if settings.before
            else evidence
        )
    if state is State.HELD:
        hold(work, node_id, candidate, reason, 0, evidence)
        return
    if state is State.AWAITING_APPROVAL:
        due_ms = _limit(work, settings.review_timeout_ms)
        work.move(node_id, candidate, state, reason, due_ms=due_ms, evidence=evidence)
        return
    wait, until_ms = holding.waits(work, settings, node, candidate)
    if wait:
        hold(work, node_id, candidate, wait, until_ms, evidence)
    elif state is State.CANARY:
        from parallelm.stream_processors.model_policy import canaries

        canaries.start(work, node_id, candidate, reason)
    else:
        request(work, node_id, candidate, reason, evidence=evidence)


def request(
    work: Work,
    node_id: str,
    deployment: Deployment,
    reason: str,
    *,
    related: str = "",
    evidence: Evidence = None,
    keeps_newer: bool = False,
) -> None:
    """Ask the node to run it; what waits and is older ends.

    What is newer ends as well, but for reviews; with ``keeps_newer``, a roll-back, it stays and is taken up again.
    """
    if refusal := signatures.refusal(work, node_id, deployment.model_id):
        reject(work, node_id, deployment, refusal, bar=False)
        return
    settings = work.settings(node_id)
    for other in work.node(node_id).pending:
        if other.attempt == deployment.attempt:
            continue
        newer = other.published > deployment.published
        if newer and keeps_newer and other.state is State.CANARY:
            put_back(work, node_id, other, f"model {deployment.model_id} is to be live first")
        elif not newer or (other.state is not State.AWAITING_APPROVAL and not keeps_newer):
            supersede(work, node_id, other, deployment.model_id, f"model {deployment.model_id} was requested")
    due_ms = _limit(work, settings.accept_timeout_ms)
    asked = work.move(
        node_id, deployment, State.REQUESTED, reason, due_ms=due_ms, related=related, evidence=evidence,
        canary_agents=(), canary_node="",
    )  # fmt: skip
    work.put(replace(work.node(node_id), changed_ms=work.at.broker_ms))
    _take_early(work, node_id, asked)


def fail(work: Work, node_id: str, deployment: Deployment, reason: str, of_canary: str) -> None:
    """It did not get to the node; where that stood in for another one, ``of_canary`` says what it did."""
    work.move(node_id, deployment, State.FAILED, reason)
    take_up(work, node_id)
    for consumer in work.known.consumers:
        for candidate in work.node(consumer.node_id).in_states(State.CANARY):
            if candidate.canary_node == node_id and candidate.model_id == deployment.model_id:
                work.move(consumer.node_id, candidate, State.FAILED, f"canary node {node_id!r} {of_canary}")


def accept(work: Work, node_id: str, deployment: Deployment, agent_id: str, at_ms: int) -> None:
    """An agent has the model: it is live once any agent has it or, by policy, all that run the live one."""
    settings, node = work.settings(node_id), work.node(node_id)
    if any(name == agent_id for name, _ in deployment.agents) and deployment.state is not State.REQUESTED:
        return
    agents = (*(each for each in deployment.agents if each[0] != agent_id), (agent_id, at_ms))[-MAX_AGENTS:]
    late = " after its time-out" if deployment.state is State.FAILED else ""
    reason = f"a component on agent {agent_id!r} downloaded it and its checksum holds{late}"
    if deployment.state in {State.ACTIVE, State.CANARY}:
        evidence = {"agents": list(deployment.canary_agents)} if deployment.canary_agents else None
        work.move(
            node_id, deployment, deployment.state, reason, at_ms=at_ms, agent_id=agent_id, agents=agents,
            evidence=evidence, due_ms=deployment.due_ms, since_ms=deployment.since_ms,
        )  # fmt: skip
        return
    due_ms = deployment.due_ms
    taken = work.move(
        node_id, deployment, State.ACCEPTED, reason, at_ms=at_ms, agent_id=agent_id, agents=agents, due_ms=due_ms,
        since_ms=deployment.since_ms, ended_ms=0,
    )  # fmt: skip
    missing = _missing(settings, node, taken)
    if not missing:
        _activate(work, node_id, taken, agent_id, at_ms)


def supersede(
    work: Work, node_id: str, deployment: Deployment, by: str, reason: str, at_ms: int | None = None
) -> None:
    """Another model takes its place."""
    end_canary(work, node_id, deployment, reason)
    work.move(node_id, deployment, State.SUPERSEDED, reason, at_ms=at_ms, related=by, superseded_by=by)


def reject(
    work: Work,
    node_id: str,
    deployment: Deployment,
    reason: str,
    evidence: Evidence = None,
    *,
    bar: bool = True,
) -> None:
    """It does not go live."""
    end_canary(work, node_id, deployment, reason)
    work.move(node_id, deployment, State.REJECTED, reason, evidence=evidence)
    if bar:
        _bar(work, node_id, deployment.model_id)


def roll_back(
    work: Work,
    node_id: str,
    deployment: Deployment,
    reason: str,
    *,
    to: Deployment | None = None,
    evidence: Evidence = None,
) -> None:
    """Take it away; where it was live, the earlier model is deployed again, as a new attempt."""
    end_canary(work, node_id, deployment, reason)
    other = [
        each for each in work.node(node_id).in_states(State.ACTIVE) if each.attempt != deployment.attempt
    ]
    back_to = to or (other[-1] if other else _previous(work, node_id, deployment))
    related = back_to.model_id if back_to else ""
    work.move(node_id, deployment, State.ROLLED_BACK, reason, related=related, evidence=evidence)
    _bar(work, node_id, deployment.model_id)
    if back_to is None or back_to in other:
        return
    unbar(work, node_id, back_to.model_id)
    again = work.add(node_id, back_to.model_id, back_to.published, cleared=True, forced=True, who=work.at.who)
    request(
        work,
        node_id,
        again,
        f"roll back of model {deployment.model_id}: {reason}",
        related=deployment.model_id,
        keeps_newer=True,
    )


def _previous(work: Work, node_id: str, deployment: Deployment) -> Deployment | None:
    """What a roll-back goes to; a model that the policy does not trust any more is passed over."""
    node = work.node(node_id)
    found = node.previous(deployment)
    while found is not None and signatures.refusal(work, node_id, found.model_id):
        node = replace(node, barred=(*node.barred, found.model_id))
        found = node.previous(deployment)
    return found


def put_back(work: Work, node_id: str, deployment: Deployment, reason: str) -> None:
    """What is under way is held instead, and begins again when it is taken up."""
    end_canary(work, node_id, deployment, reason)
    work.move(
        node_id, work.current(node_id, deployment), State.HELD, reason, hold=reason, canary_node="", canary_agents=(),
        agents=(),
    )  # fmt: skip


def take_up(work: Work, node_id: str) -> None:
    """What is held on a node may go on, since the node has changed."""
    for held in work.node(node_id).in_states(State.HELD):
        current = work.current(node_id, held)
        if current.state is State.HELD:
            advance(work, node_id, current)


def unbar(work: Work, node_id: str, model_id: str) -> None:
    """A person, or a roll-back, wants the model again."""
    node = work.node(node_id)
    work.put(replace(node, barred=tuple(each for each in node.barred if each != model_id)))


def note_agent(work: Work, accepted: Accepted) -> None:
    """Remember what an agent runs now."""
    node = work.node(accepted.node_id)
    others = tuple(each for each in node.agents if each.agent_id != accepted.agent_id)
    now = AgentModel(accepted.agent_id, accepted.model_id, accepted.cause.offset)
    work.put(replace(node, agents=(*others, now)[-MAX_AGENTS:]))


def _activate(work: Work, node_id: str, deployment: Deployment, agent_id: str, at_ms: int) -> None:
    """It is live; what was live or requested before it on the node is superseded."""
    settings, node = work.settings(node_id), work.node(node_id)
    previous = node.active
    related = previous.model_id if previous else ""
    reason = f"in place of model {related}" if related else "no other model is live on the node"
    waits = [gate.wait_ms for gate in settings.after if gate.wait_ms]
    work.move(
        node_id, deployment, State.ACTIVE, reason, at_ms=at_ms, agent_id=agent_id, related=related, was_active=True,
        runs=tuple(GateRun() for _ in settings.after), due_ms=_limit(work, min(waits, default=0)),
        since_ms=work.at.broker_ms,
    )  # fmt: skip
    for old in node.deployments:
        earlier = old.attempt < deployment.attempt and old.state in {State.REQUESTED, State.ACCEPTED}
        if old.attempt != deployment.attempt and (earlier or old.state is State.ACTIVE):
            reason = f"model {deployment.model_id} is active on node {node_id!r}"
            supersede(work, node_id, old, deployment.model_id, reason, at_ms)
    _follow(work, node_id, deployment)
    take_up(work, node_id)


def _follow(work: Work, node_id: str, live: Deployment) -> None:
    """The canary node of a node runs what that node runs, while no canary does."""
    settings = work.settings(node_id)
    canary_node = settings.canary.node if settings.kind is ModelPolicy.CANARY else ""
    if (
        not canary_node
        or work.known.consumer(canary_node) is None
        or work.node(node_id).in_states(State.CANARY)
    ):
        return
    target = work.node(canary_node).target
    if target is None or target.model_id != live.model_id:
        same = work.add(canary_node, live.model_id, live.published, cleared=True, forced=True)
        request(work, canary_node, same, f"node {node_id!r} runs it")


def _missing(settings: PolicySettings, node: NodeDeployments, taken: Deployment) -> set[str]:
    """Agents whose acceptance is still waited for."""
    live = node.active
    if settings.accept != "all" or live is None:
        return set()
    running = {each.agent_id for each in node.agents if each.model_id == live.model_id}
    return running - {name for name, _ in taken.agents}


def _take_early(work: Work, node_id: str, deployment: Deployment) -> None:
    """Acceptances that came before the request count now."""
    for agent_id, at_ms in deployment.agents:
        found = work.current(node_id, deployment)
        if found.state in {State.REQUESTED, State.ACCEPTED}:
            accept(
                work,
                node_id,
                replace(found, agents=tuple(a for a in found.agents if a[0] != agent_id)),
                agent_id,
                at_ms,
            )
    early = [
        each for each in work.known.early if (each.node_id, each.model_id) == (node_id, deployment.model_id)
    ]
    work.known = replace(work.known, early=tuple(each for each in work.known.early if each not in early))
    cause = work.at.cause
    for each in early:
        work.at = replace(work.at, cause=each.cause)
        noted = work.node(node_id).agent(each.agent_id)
        if noted is None or noted.offset < each.cause.offset:
            note_agent(work, each)
        accept(work, node_id, work.current(node_id, deployment), each.agent_id, each.event_time_ms)
    work.at = replace(work.at, cause=cause)


def hold(
    work: Work, node_id: str, candidate: Deployment, reason: str, until_ms: int, evidence: Evidence
) -> None:
    """Keep a candidate back, with its reason, until the broker's clock says ``until_ms`` (0: until something happens)."""
    due_ms = until_ms if until_ms > work.at.broker_ms else 0
    if candidate.state is State.HELD and candidate.hold == reason:
        work.change(node_id, candidate, due_ms=due_ms)
        return
    work.move(node_id, candidate, State.HELD, reason, hold=reason, due_ms=due_ms, evidence=evidence)


def _passes_gates(work: Work, settings: PolicySettings, node_id: str, candidate: Deployment) -> bool:
    """Whether all gates before the deployment have passed; if not, it is held or rejected."""
    waited_ms = work.at.broker_ms - candidate.decided_ms
    runs = holding.runs(settings, candidate)
    judged = [
        (gates.verdict_of(gate, run, waited_ms), gate, run)
        for gate, run in zip(settings.before, runs, strict=True)
    ]
    numbers = gates.evidence(settings.before, runs)
    for verdict, gate, run in judged:
        if verdict is GateVerdict.FAILED:
            reject(work, node_id, candidate, f"gate: {gates.explained(gate, run)}", numbers)
            return False
    for verdict, gate, _ in judged:
        if verdict is GateVerdict.INCONCLUSIVE:
            reason = f"inconclusive, a person decides: {gate.metric} is neither good nor bad"
            hold(work, node_id, candidate, reason, 0, numbers)
            return False
        if verdict is GateVerdict.WAITING:
            waits = [g.wait_ms for v, g, _ in judged if v is GateVerdict.WAITING and g.wait_ms]
            until_ms = candidate.decided_ms + min(waits, default=0)
            hold(
                work,
                node_id,
                candidate,
                f"gate waits for data: {gate.metric} {gate.success_condition}",
                until_ms,
                numbers,
            )
            return False
    return True


def _limit(work: Work, duration_ms: int) -> int:
    return work.at.broker_ms + duration_ms if duration_ms else 0


def _bar(work: Work, node_id: str, model_id: str) -> None:
    node = work.node(node_id)
    others = tuple(each for each in node.barred if each != model_id)
    work.put(replace(node, barred=(*others, model_id)))


def end_canary(work: Work, node_id: str, deployment: Deployment, reason: str) -> None:
    """Where a canary runs on a node of its own, that node goes back to the live model."""
    if deployment.state is State.CANARY and deployment.canary_node:
        from parallelm.stream_processors.model_policy import canaries

        canaries.take_away(work, node_id, deployment, reason)
