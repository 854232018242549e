"""Runs that wait: for a time, for earlier runs, for an agent; and the command with which one begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from parallelm.definitions.durations import format_duration
from parallelm.definitions.run_spec import RunSpec
from parallelm.schemas.records import CommandKind, RunState
from parallelm.stream_processors.scheduling import placing
from parallelm.stream_processors.scheduling.cycles import is_by_person, overlap_of
from parallelm.stream_processors.scheduling.state import MAX_REASON, Life, instance_id_of

if TYPE_CHECKING:
    from parallelm.definitions.node_types import Mode, NodeType
    from parallelm.stream_processors.scheduling.agents import AgentView
    from parallelm.stream_processors.scheduling.plans import NodePlan
    from parallelm.stream_processors.scheduling.state import Run
    from parallelm.stream_processors.scheduling.work import Work

START_VALID_MS = 60_000
"""A start that has not reached its agent by then, by the broker's clock, is void."""


def begin_waiting(work: Work, plan: NodePlan) -> None:
    """Give each run that waits to an agent, or say what it waits for."""
    waiting = [
        each for each in work.node(plan.node_id).runs if each.state in {RunState.UNKNOWN, RunState.WAITING}
    ]
    for run in sorted(waiting, key=lambda each: (each.due_ms, each.instance)):
        if (
            run.state is RunState.WAITING
            and run.deadline_ms
            and work.now_ms > run.deadline_ms
            and not run.starts
        ):
            schedule = plan.running.schedule
            within = f" within {format_duration(schedule.deadline)}, its deadline" if schedule else ""
            work.move(
                plan.node_id, run, RunState.MISSED, f"it did not begin{within}: it {run.reason or 'waited'}"
            )
            continue
        if run.not_before_ms > work.now_ms:
            continue
        reason = _waits_for(work, plan, run)
        agent = None
        if not reason:
            agent, reason = _choice(work, plan, run)
        if agent is not None:
            _assign(work, plan, run, agent)
        elif run.reason != reason[:MAX_REASON] or run.state is RunState.UNKNOWN:
            work.move(plan.node_id, run, RunState.WAITING, reason, not_before_ms=0)
        elif run.not_before_ms:
            work.change(plan.node_id, run, not_before_ms=0)


def _waits_for(work: Work, plan: NodePlan, run: Run) -> str:
    """What a run waits for before it looks for an agent."""
    node = work.node(plan.node_id)
    if not is_by_person(run):
        if work.app.life is Life.PAUSED:
            return "waits until the MLApp is resumed"
        if node.paused:
            return "waits until the node is resumed"
    if plan.is_online or overlap_of(plan, run.trigger) == "allow":
        return ""
    first = min(node.runs, key=lambda each: each.due_ms)  # of equal ones the one that was there first
    if first.cycle != run.cycle:
        return f"waits for run {first.run_id}, which was due before"
    return ""


def _choice(work: Work, plan: NodePlan, run: Run) -> tuple[AgentView | None, str]:
    home = ""
    if plan.is_online and not plan.is_movable:
        home = work.node(plan.node_id).service(run.instance).home
    instance_id = instance_id_of(work.app.mlapp_id, plan.node_id, run.instance)
    return placing.choose(
        work.world.agents, plan.running, instance_id=instance_id, home=home, avoid=run.avoid
    )


def _assign(work: Work, plan: NodePlan, run: Run, agent: AgentView) -> None:
    running = plan.running
    expires_ms = work.now_ms + START_VALID_MS
    if run.deadline_ms and not run.starts:
        expires_ms = min(expires_ms, run.deadline_ms)
    model = work.world.model_of(plan.node_id, running.default_model)
    given = work.move(
        plan.node_id, run, RunState.ASSIGNED, f"agent {agent.agent_id!r} is told to start it",
        agent_id=agent.agent_id, epoch=agent.epoch, accepted=False, not_before_ms=0, avoid="", expires_ms=expires_ms,
        lease_ends_ms=expires_ms + running.lease if plan.is_movable else 0, limit_ms=0, version=work.app.version,
        form=plan.form, model_id=model.model_id if model is not None else "",
    )  # fmt: skip
    work.world.agents.placed[agent.agent_id] += 1
    if plan.is_online and not plan.is_movable:
        service = work.node(plan.node_id).service(run.instance)
        if service.home != agent.agent_id:
            work.put_service(plan.node_id, replace(service, home=agent.agent_id))
    spec = RunSpec(
        mlapp_id=work.app.mlapp_id,
        mlapp_name=work.app.name,
        definition_version=given.version,
        node_id=plan.node_id,
        node_type=cast("NodeType", plan.type),
        mode=cast("Mode", plan.mode),
        pipeline_instance_id=instance_id_of(work.app.mlapp_id, plan.node_id, run.instance),
        instance=run.instance,
        run_id=run.run_id,
        attempt=given.attempt,
        trigger=run.trigger,
        due_at_ms=run.due_ms,
        running=plan.told,
        model=model,
    )
    work.command(
        CommandKind.START, plan.node_id, run.run_id, given.attempt, agent_id=agent.agent_id, epoch=agent.epoch,
        reason=f"it is due by {run.trigger}", expires_ms=expires_ms, spec_json=spec.json(),
    )  # fmt: skip
