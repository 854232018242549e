"""A canary from its start to its verdict: on a node of its own, or on a share of a node's agents."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import DeploymentState as State
from parallelm.stream_processors.alerts.ids import digest
from parallelm.stream_processors.model_policy import steps
from parallelm.stream_processors.model_policy.analysis import judge as judging
from parallelm.stream_processors.model_policy.analysis.judge import Judgement, Verdict
from parallelm.stream_processors.model_policy.state import CanaryData, Compared, Deployment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.model_policy.settings import CanaryOptions
    from parallelm.stream_processors.model_policy.work import Work

MAX_SAMPLES = 200
"""Samples of a metric that are remembered of each group, the newest."""
_FEWEST_AGENTS = 2


def start(work: Work, node_id: str, candidate: Deployment, reason: str) -> None:
    """Bring the model to where it is compared."""
    options, node = work.settings(node_id).canary, work.node(node_id)
    live = node.active
    baseline = live.model_id if live else ""
    due_ms = work.at.broker_ms + options.time_limit_ms if options.time_limit_ms else 0
    agents = (
        ()
        if options.node
        else _chosen(
            options, sorted(each.agent_id for each in node.agents if each.model_id == baseline), candidate
        )
    )
    if not options.node and not agents:
        wait = f"a canary on a share of the agents needs {_FEWEST_AGENTS} agents with the live model"
        steps.hold(work, node_id, candidate, wait, 0, None)
        return
    evidence: dict[str, object] = {"baseline": baseline}
    evidence |= {"node": options.node} if options.node else {"agents": list(agents)}
    work.move(
        node_id, candidate, State.CANARY, reason, related=baseline, evidence=evidence, due_ms=due_ms,
        canary_node=options.node, canary_agents=agents,
    )  # fmt: skip
    if options.node:
        canary = work.add(options.node, candidate.model_id, candidate.published, cleared=True, forced=True)
        steps.request(work, options.node, canary, f"canary of node {node_id!r}")


def take_away(work: Work, node_id: str, candidate: Deployment, reason: str) -> None:
    """The canary node goes back to the model that is live on the node that it stands in for."""
    canary_node = candidate.canary_node
    found = work.node(canary_node).target
    live = work.node(node_id).active
    if found is None or found.model_id != candidate.model_id:
        return
    work.move(canary_node, found, State.ROLLED_BACK, reason, related=live.model_id if live else "")
    if live is not None:
        others = work.node(canary_node).in_states(State.REQUESTED, State.ACCEPTED, State.ACTIVE)
        if not any(each.model_id == live.model_id for each in others):
            again = work.add(canary_node, live.model_id, live.published, cleared=True, forced=True)
            steps.request(work, canary_node, again, f"the canary ended: {reason}", related=candidate.model_id)


def data_of(work: Work, node_id: str, candidate: Deployment) -> CanaryData:
    """What a canary has reported so far."""
    metrics = work.settings(node_id).canary.metrics
    found = next(
        (
            each
            for each in work.known.measured.canaries
            if (each.node_id, each.attempt) == (node_id, candidate.attempt)
            and len(each.metrics) == len(metrics)
        ),
        None,
    )
    return found or CanaryData(node_id, candidate.attempt, tuple(Compared() for _ in metrics))


def remember(work: Work, data: CanaryData) -> None:
    """Keep what a canary has reported."""
    others = [each for each in work.known.measured.canaries if each.node_id != data.node_id]
    measured = replace(work.known.measured, canaries=(*others, data))
    work.known = replace(work.known, measured=measured)


def with_samples(data: CanaryData, index: int, values: Sequence[float], *, of_canary: bool) -> CanaryData:
    """Samples of a metric joined to one of the groups."""
    compared = data.metrics[index]
    if of_canary:
        compared = replace(compared, canary=(*compared.canary, *values)[-MAX_SAMPLES:])
    else:
        compared = replace(compared, baseline=(*compared.baseline, *values)[-MAX_SAMPLES:])
    metrics = (*data.metrics[:index], compared, *data.metrics[index + 1 :])
    return replace(data, metrics=metrics)


def weigh(work: Work, node_id: str, candidate: Deployment) -> None:
    """Judge a canary when it has reported enough: the first time, and whenever its reports have doubled since."""
    settings, data = work.settings(node_id), data_of(work, node_id, candidate)
    options = settings.canary
    enough = all(
        min(len(each.baseline), len(each.canary)) >= options.min_samples for each in data.metrics
    ) and (not settings.compares_predictions or bool(data.baseline_predictions and data.canary_predictions))
    lasted = data.last_ms - data.first_ms >= options.duration_ms
    if not enough or (data.judged and data.reports < 2 * data.judged):
        return
    judgement = judge_now(work, node_id, candidate)
    evidence = judgement.evidence()
    if judgement.verdict is Verdict.FAIL:
        steps.roll_back(work, node_id, candidate, f"canary failed: {judgement.summary()}", evidence=evidence)
    elif judgement.verdict is Verdict.PASS and lasted:
        promote(work, node_id, candidate, f"canary passed: {judgement.summary()}", evidence)
    elif lasted or judgement.verdict is Verdict.MARGINAL:
        remember(work, replace(data, judged=max(1, data.reports)))
        if judgement.verdict is Verdict.MARGINAL:
            _hold_on(
                work, node_id, candidate, f"canary marginal, it goes on: {judgement.summary()}", evidence
            )


def judge_now(work: Work, node_id: str, candidate: Deployment) -> Judgement:
    """The verdict on what there is."""
    settings, data = work.settings(node_id), data_of(work, node_id, candidate)
    compared = [
        judging.compare_metric(metric, each.baseline, each.canary)
        for metric, each in zip(settings.canary.metrics, data.metrics, strict=True)
    ]
    if settings.compares_predictions:
        compared.append(
            judging.compare_predictions(
                settings.canary, settings.canary_threshold, data.baseline_predictions, data.canary_predictions
            )
        )
    return judging.judge(settings.canary, compared)


def promote(
    work: Work, node_id: str, candidate: Deployment, reason: str, evidence: Mapping[str, object]
) -> None:
    """The whole node gets the model."""
    cleared = work.change(node_id, candidate, cleared=True)
    steps.advance(work, node_id, cleared, why=reason, evidence=evidence)


def on_time_limit(work: Work, node_id: str, candidate: Deployment) -> None:
    """No verdict came in time: what there is decides, or else the policy's ``at_time_limit``."""
    options = work.settings(node_id).canary
    judgement = judge_now(work, node_id, candidate)
    evidence = judgement.evidence()
    limit = f"within {format_duration(options.time_limit_ms)}"
    if judgement.verdict is Verdict.PASS or (
        judgement.verdict is not Verdict.FAIL and options.at_time_limit == "promote"
    ):
        reason = (
            f"canary passed {limit}" if judgement.verdict is Verdict.PASS else f"no verdict {limit}: promoted"
        )
        promote(work, node_id, candidate, f"{reason}: {judgement.summary()}", evidence)
    elif judgement.verdict is not Verdict.FAIL and options.at_time_limit == "hold":
        _hold_on(work, node_id, candidate, f"no verdict {limit}: a person decides", evidence)
    else:
        steps.roll_back(
            work, node_id, candidate, f"canary did not pass {limit}: {judgement.summary()}", evidence=evidence
        )


def _hold_on(
    work: Work, node_id: str, candidate: Deployment, reason: str, evidence: Mapping[str, object]
) -> None:
    """The canary goes on; its record says what it shows."""
    agents: dict[str, object] = {"agents": list(candidate.canary_agents)} if candidate.canary_agents else {}
    due_ms = candidate.due_ms if candidate.due_ms > work.at.broker_ms else 0
    work.move(
        node_id, candidate, State.CANARY, reason, evidence=dict(evidence) | agents, due_ms=due_ms,
        since_ms=candidate.since_ms, event_ms=candidate.event_ms,
    )  # fmt: skip


def _chosen(options: CanaryOptions, agents: Sequence[str], candidate: Deployment) -> tuple[str, ...]:
    """A share of the agents, the same for the same model whoever asks; none when too few are known."""
    if len(agents) < _FEWEST_AGENTS:
        return ()
    count = max(1, math.floor(options.share * len(agents)))
    return tuple(sorted(sorted(agents, key=lambda name: digest(candidate.model_id, name))[:count]))
