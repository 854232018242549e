"""What makes runs due, and which nodes follow: runs that one cause has led to, over all nodes, are one cycle.

A node with parents, and neither schedule nor triggers, is due in a cycle when each of its parents has succeeded in it. A parent that the cycle does not reach
counts with its latest success: an hourly parent and a daily one make an hourly child, which at midnight waits for both.
A cycle comes to a node once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.definitions.due_times import jitter_ms
from parallelm.schemas.records import RunState
from parallelm.schemas.well_known import BY_DATA, BY_MODEL, BY_PARENT, BY_PERSON, BY_SCHEDULE
from parallelm.stream_processors.scheduling.state import (
    MAX_OPEN_RUNS,
    MAX_QUEUED,
    Life,
    Outcome,
    Run,
    run_id_of,
)

if TYPE_CHECKING:
    from parallelm.schemas.records import DeploymentTransition, Event, ModelAnnouncement
    from parallelm.stream_processors.scheduling.plans import NodePlan
    from parallelm.stream_processors.scheduling.state import NodeRuns
    from parallelm.stream_processors.scheduling.work import Work


def cycle_of(trigger: str, trigger_id: str) -> str:
    """Name of the cycle that a cause begins."""
    return f"{trigger}:{trigger_id}"


def begin(
    work: Work,
    plan: NodePlan,
    trigger: str,
    trigger_id: str,
    *,
    cycle: str = "",
    due_ms: int | None = None,
    missed: str = "",
) -> None:
    """The node's runs of a cycle are due: they wait for an agent, or are missed for a reason."""
    cycle = cycle or cycle_of(trigger, trigger_id)
    node = work.node(plan.node_id)
    if node.knows(cycle):
        return
    due_ms = work.now_ms if due_ms is None else due_ms
    why = missed or _cannot_wait(plan, node, trigger)
    schedule = plan.running.schedule
    deadline_ms = schedule.deadline if schedule is not None and trigger == BY_SCHEDULE else 0
    for instance in range(plan.running.parallelism):
        run = Run(
            run_id_of(work.app.mlapp_id, plan.node_id, instance, cycle), instance, cycle, trigger, trigger_id,
            due_ms, work.app.version, plan.form, deadline_ms=due_ms + deadline_ms if deadline_ms else 0,
            since_ms=work.now_ms, who=work.at.who,
        )  # fmt: skip
        work.change(plan.node_id, run)
    for run in work.node(plan.node_id).of_cycle(cycle) if why else ():
        work.move(plan.node_id, run, RunState.MISSED, why)


def overlap_of(plan: NodePlan, trigger: str) -> str:
    """What a run does while an earlier one goes on: the schedule says it of its own; others wait."""
    schedule = plan.running.schedule
    if schedule is None:
        return "queue"
    return schedule.overlap if trigger == BY_SCHEDULE or schedule.overlap == "allow" else "queue"


def _cannot_wait(plan: NodePlan, node: NodeRuns, trigger: str) -> str:
    if len(node.runs) + plan.running.parallelism > MAX_OPEN_RUNS:
        return f"{len(node.runs)} runs of the node have not ended; at most {MAX_OPEN_RUNS} can"
    overlap = overlap_of(plan, trigger)
    if node.runs and overlap == "skip":
        earlier = node.runs[0]
        where = f" on agent {earlier.agent_id!r}" if earlier.agent_id else ""
        return f"run {earlier.run_id}, which was due before, is {earlier.state.value}{where}"
    waiting = {each.cycle for each in node.runs if each.state is RunState.WAITING}
    if overlap == "queue" and len(waiting) >= MAX_QUEUED:
        return f"{len(waiting)} earlier runs of the node wait already; at most {MAX_QUEUED} do"
    return ""


# ---- causes ----------------------------------------------------------------------------------------------------


def on_model(work: Work, announced: ModelAnnouncement) -> None:
    """A node has published a model."""
    for plan in work.app.plans:
        if any(each.model == announced.origin.node_id for each in plan.running.triggers):
            _triggered(work, plan, BY_MODEL, announced.model_id)


def on_deployed(work: Work, moved: DeploymentTransition) -> None:
    """A node is to run a model from now on; a model that is deployed once more makes one more cycle."""
    for plan in work.app.plans:
        if any(each.deployed == moved.node_id for each in plan.running.triggers):
            cycle = cycle_of("deployment", moved.deployment_id)
            _triggered(work, plan, BY_MODEL, moved.model_id, cycle=cycle)


def on_event(work: Work, event: Event) -> None:
    """An event was reported in the MLApp."""
    for plan in work.app.plans:
        if any(each.event == event.type for each in plan.running.triggers):
            _triggered(work, plan, BY_DATA, event.event_id)


def follow(work: Work) -> None:
    """Find what follows from cycles that have ended, and from what ends on that account."""
    while work.ended:
        node_id, cycle = work.ended.pop(0)
        end = work.node(node_id).end_of(cycle)
        if end is None or work.node(node_id).of_cycle(cycle):
            continue
        if end.outcome is Outcome.SUCCEEDED:
            work.put(replace(work.node(node_id), succeeded_ms=work.now_ms))
        if end.outcome is Outcome.MISSED or work.app.life not in {Life.LAUNCHED, Life.PAUSED}:
            continue
        for plan in work.app.plans:
            if _follows(work, plan, node_id, cycle, end.outcome):
                _triggered(work, plan, BY_PARENT, cycle, cycle=cycle)


def _triggered(work: Work, plan: NodePlan, trigger: str, trigger_id: str, *, cycle: str = "") -> None:
    if plan.is_online:
        return
    if work.app.life is Life.PAUSED or work.node(plan.node_id).paused:
        whole = "the MLApp" if work.app.life is Life.PAUSED else "the node"
        begin(work, plan, trigger, trigger_id, cycle=cycle, missed=f"{whole} was paused")
    elif work.begins_runs:
        begin(work, plan, trigger, trigger_id, cycle=cycle)


def _follows(work: Work, plan: NodePlan, node_id: str, cycle: str, outcome: Outcome) -> bool:
    on = {"end"}
    on |= {"success"} if outcome is Outcome.SUCCEEDED else set()
    on |= {"failure"} if outcome is Outcome.FAILED else set()
    if any(each.after == node_id and each.on in on for each in plan.running.triggers):
        return True
    if node_id not in plan.parents or outcome is not Outcome.SUCCEEDED or not waits_for_parents(work, plan):
        return False
    return all(_is_joined(work, parent, cycle) for parent in offline_parents(work, plan))


def waits_for_parents(work: Work, plan: NodePlan) -> bool:
    """Whether runs of its parents make a node's runs due: a schedule or triggers of its own take their place."""
    has_own = plan.running.schedule is not None or bool(plan.running.triggers)
    return not (plan.is_online or has_own) and bool(offline_parents(work, plan))


def offline_parents(work: Work, plan: NodePlan) -> list[NodePlan]:
    """Parents whose runs come to an end."""
    found = (work.plan(parent) for parent in plan.parents)
    return [each for each in found if each is not None and not each.is_online]


def _is_joined(work: Work, parent: NodePlan, cycle: str) -> bool:
    node = work.node(parent.node_id)
    if node.of_cycle(cycle):
        return False
    end = node.end_of(cycle)
    if end is not None:
        return end.outcome is Outcome.SUCCEEDED
    return node.succeeded_ms > 0 and not _is_reached(work, parent, cycle, set())


def _is_reached(work: Work, plan: NodePlan, cycle: str, seen: set[str]) -> bool:
    """Whether a cycle has come or will come to a node, from its schedule or from its parents."""
    seen.add(plan.node_id)
    node, schedule = work.node(plan.node_id), plan.running.schedule
    if node.knows(cycle):
        return True
    if schedule is not None:
        jitter = jitter_ms(schedule, work.app.mlapp_id, plan.node_id)
        return node.next_due_ms > 0 and cycle == cycle_of(BY_SCHEDULE, str(node.next_due_ms - jitter))
    parents = (each for each in offline_parents(work, plan) if each.node_id not in seen)
    return any(_is_reached(work, parent, cycle, seen) for parent in parents)


def is_by_person(run: Run) -> bool:
    """Whether a person has asked for the run: it begins whether or not the MLApp is launched."""
    return run.trigger == BY_PERSON
