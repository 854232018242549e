"""Numbers about models arrived: gates before and after a deployment, and canaries, judge them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.records import DeploymentState as State
from parallelm.stream_processors.model_policy import canaries, gates, steps
from parallelm.stream_processors.model_policy.agents import accepted_model
from parallelm.stream_processors.model_policy.alerts import take_back
from parallelm.stream_processors.model_policy.gates import GateRun, GateVerdict
from parallelm.stream_processors.model_policy.state import OPEN, Reading
from parallelm.stream_processors.model_policy.work import At, Outcome, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.records import RuleAggregate
    from parallelm.stream_processors.model_policy.state import CanaryData, Deployment, MLAppDeployments

MAX_READINGS = 300
"""Samples about models that are not announced yet; the oldest goes first."""


def on_samples(known: MLAppDeployments, reported: RuleAggregate, at: At) -> Outcome:
    """Samples of a metric that some policy of the MLApp names."""
    work = Work(known, at)
    samples = list(zip(reported.timestamps_ms, reported.values, strict=True))
    if not samples:
        return work.outcome
    for consumer in known.consumers:
        node_id = consumer.node_id
        for deployment in list(work.node(node_id).in_states(State.HELD, State.CANARY, State.ACTIVE)):
            take = {State.HELD: _before, State.CANARY: _canary_samples, State.ACTIVE: _after}[
                deployment.state
            ]
            take(work, node_id, deployment, reported, samples)
    if reported.model_id and _is_asked(work, reported) and not _is_decided(work, reported.model_id):
        new = tuple(
            Reading(reported.model_id, reported.rule, dict(reported.labels), at_ms, value)
            for at_ms, value in samples
        )
        measured = work.known.measured
        early = (*measured.early, *new)[-MAX_READINGS:]
        work.known = replace(work.known, measured=replace(measured, early=early))
    return work.outcome


def on_distribution(known: MLAppDeployments, reported: RuleAggregate, at: At) -> Outcome:
    """A distribution of predictions; the latest of each group counts."""
    work = Work(known, at)
    for consumer in known.consumers:
        node_id, settings = consumer.node_id, work.settings(consumer.node_id)
        if not settings.compares_predictions or settings.canary.predictions != reported.rule:
            continue
        for candidate in work.node(node_id).in_states(State.CANARY):
            group = _group(work, node_id, candidate, reported)
            if group is None:
                continue
            data = canaries.data_of(work, node_id, candidate)
            data = (
                replace(_seen(data, [reported.event_time_ms]), canary_predictions=reported.data)
                if group
                else replace(data, baseline_predictions=reported.data, reports=data.reports + 1)
            )
            canaries.remember(work, data)
            canaries.weigh(work, node_id, work.current(node_id, candidate))
    return work.outcome


def _before(
    work: Work, node_id: str, held: Deployment, reported: RuleAggregate, samples: list[tuple[float, float]]
) -> None:
    """Gates before: whoever reports about the model."""
    settings = work.settings(node_id)
    taken = [gate.takes(reported.rule, reported.labels) for gate in settings.before]
    if held.cleared or reported.model_id != held.model_id or not any(taken):
        return
    before = (
        held.runs if len(held.runs) == len(settings.before) else tuple(GateRun() for _ in settings.before)
    )
    runs = tuple(
        gates.measure(gate, run, samples) if takes else run
        for gate, run, takes in zip(settings.before, before, taken, strict=True)
    )
    steps.advance(work, node_id, work.change(node_id, held, runs=runs))


def _after(
    work: Work, node_id: str, live: Deployment, reported: RuleAggregate, samples: list[tuple[float, float]]
) -> None:
    """Gates after: what the node reports with the model."""
    settings = work.settings(node_id)
    about = (
        reported.model_id or accepted_model(work.known, node_id, reported.origin.agent_id) or live.model_id
    )
    if reported.origin.node_id != node_id or about != live.model_id or not settings.after:
        return
    before = live.runs if len(live.runs) == len(settings.after) else tuple(GateRun() for _ in settings.after)
    runs = tuple(
        gates.measure(gate, run, samples) if gate.takes(reported.rule, reported.labels) else run
        for gate, run in zip(settings.after, before, strict=True)
    )
    if runs != before or live.runs != before:
        judge_after(work, node_id, work.change(node_id, live, runs=runs), before)


def judge_after(work: Work, node_id: str, live: Deployment, before: tuple[GateRun, ...]) -> None:
    """A gate that fails takes the model away; that all have passed is said once."""
    settings = work.settings(node_id)
    waited_ms = work.at.broker_ms - live.since_ms
    numbers = gates.evidence(settings.after, live.runs)
    verdicts = [
        gates.verdict_of(gate, run, waited_ms) for gate, run in zip(settings.after, live.runs, strict=True)
    ]
    earlier = [gates.verdict_of(gate, run, 0) for gate, run in zip(settings.after, before, strict=True)]
    if verdicts == earlier:
        return
    for gate, run, verdict in zip(settings.after, live.runs, verdicts, strict=True):
        if verdict is GateVerdict.FAILED:
            take_back(work, node_id, live, f"gate after: {gates.explained(gate, run)}", numbers)
            return
    if GateVerdict.INCONCLUSIVE in verdicts and GateVerdict.INCONCLUSIVE not in earlier:
        unsure = settings.after[verdicts.index(GateVerdict.INCONCLUSIVE)].metric
        reason = f"gate after is inconclusive, a person decides: {unsure} is neither good nor bad"
        work.move(node_id, live, State.ACTIVE, reason, evidence=numbers)
    if all(verdict is GateVerdict.PASSED for verdict in verdicts):
        work.move(node_id, live, State.ACTIVE, "its gates have passed", evidence=numbers, due_ms=0)


def _canary_samples(
    work: Work,
    node_id: str,
    candidate: Deployment,
    reported: RuleAggregate,
    samples: list[tuple[float, float]],
) -> None:
    group = _group(work, node_id, candidate, reported)
    if group is None:
        return
    data = canaries.data_of(work, node_id, candidate)
    values = [value for _, value in samples if abs(value) < float("inf")]
    changed = False
    for index, metric in enumerate(work.settings(node_id).canary.metrics):
        if metric.takes(reported.rule, reported.labels) and values:
            data, changed = canaries.with_samples(data, index, values, of_canary=group), True
    if not changed:
        return
    data = replace(data, reports=data.reports + len(values))
    canaries.remember(work, _seen(data, [at_ms for at_ms, _ in samples], reports=0) if group else data)
    canaries.weigh(work, node_id, work.current(node_id, candidate))


def _group(work: Work, node_id: str, candidate: Deployment, reported: RuleAggregate) -> bool | None:
    """True: of the canary; False: of the live model; None: of neither."""
    reporter = reported.origin.node_id
    live = work.node(node_id).active
    if reporter not in {node_id, candidate.canary_node}:
        return None
    if candidate.canary_node and reporter == candidate.canary_node:
        target = work.node(candidate.canary_node).target
        runs = target is not None and target.state is State.ACTIVE and target.model_id == candidate.model_id
        return True if runs and reported.model_id in {"", candidate.model_id} else None
    about = reported.model_id or accepted_model(work.known, node_id, reported.origin.agent_id)
    if about == candidate.model_id:
        return None if candidate.canary_node else True
    return False if live is not None and about == live.model_id else None


def _seen(data: CanaryData, times_ms: Sequence[float], *, reports: int = 1) -> CanaryData:
    """One record may hold the samples of all its time: those that waited for outcomes do."""
    return replace(
        data,
        first_ms=min([*times_ms, data.first_ms or times_ms[0]]),
        last_ms=max([*times_ms, data.last_ms]),
        reports=data.reports + reports,
    )


def _is_asked(work: Work, reported: RuleAggregate) -> bool:
    """Whether a gate before a deployment will ask for it."""
    return any(
        gate.takes(reported.rule, reported.labels)
        for consumer in work.known.consumers
        for gate in work.settings(consumer.node_id).before
    )


def _is_decided(work: Work, model_id: str) -> bool:
    """Whether some node has it: its gates have been asked."""
    return any(
        each.model_id == model_id and (each.state in OPEN or each.attempt)
        for node in work.known.nodes
        for each in node.deployments
    )
