"""Runs whose agents are silent, draining or gone, whose lease is over, or that take too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import RunState
from parallelm.schemas.well_known import LOST
from parallelm.stream_processors.scheduling.ending import End, settle
from parallelm.stream_processors.scheduling.state import ON_AGENT, EndsAs
from parallelm.stream_processors.scheduling.stopping import stop, try_again

if TYPE_CHECKING:
    from parallelm.stream_processors.scheduling.agents import AgentView
    from parallelm.stream_processors.scheduling.state import Run
    from parallelm.stream_processors.scheduling.work import Work

LIMIT_SLACK_MS = 60_000
"""The run's own host ends it at its time limit; this much later it is told to once more."""


def watch(work: Work, node_id: str) -> None:
    """Judge every run that an agent has."""
    for run in work.node(node_id).runs:
        if run.state in ON_AGENT:
            _judge(work, node_id, run, work.world.agents.get(run.agent_id))


def _judge(work: Work, node_id: str, run: Run, agent: AgentView | None) -> None:
    if run.lease_ends_ms:
        if work.now_ms > run.lease_ends_ms:
            _lease_over(work, node_id, run)
            return
    elif agent is None:
        reason = f"agent {run.agent_id!r} was removed"
        settle(work, node_id, run, End(LOST, reason))
        return
    elif agent.epoch > run.epoch:
        reason = f"agent {run.agent_id!r} was installed anew (epoch {agent.epoch}, it had {run.epoch})"
        if run.accepted:
            settle(work, node_id, run, End(LOST, reason))
        elif work.now_ms > run.expires_ms:
            _never_begun(work, node_id, run, f"{reason} and never began it")
        return
    elif not agent.heard_of and run.state in {RunState.ASSIGNED, RunState.RUNNING}:
        work.move(
            node_id, run, RunState.UNREACHABLE,
            f"agent {run.agent_id!r} is not heard of; the run is pinned to it and is taken to go on there",
        )  # fmt: skip
        return
    elif agent.heard_of and run.state is RunState.UNREACHABLE:
        state = RunState.RUNNING if run.starts else RunState.ASSIGNED
        run = work.move(node_id, run, state, f"agent {run.agent_id!r} is heard of again")
    if run.limit_ms and work.now_ms > run.limit_ms and run.state is RunState.RUNNING:
        stop(work, node_id, run, "its time limit is over", EndsAs.TIMED_OUT)
        return
    _make_way(work, node_id, run, agent)


def _make_way(work: Work, node_id: str, run: Run, agent: AgentView | None) -> None:
    """A movable service leaves an agent that drains; what comes to an end by itself ends there."""
    plan = work.plan(node_id)
    if agent is None or agent.state != "draining" or plan is None or not (plan.is_online and plan.is_movable):
        return
    if run.ends_as is EndsAs.NOTHING:
        stop(work, node_id, run, f"agent {agent.agent_id!r} drains", EndsAs.MOVED)


def _lease_over(work: Work, node_id: str, run: Run) -> None:
    plan = work.plan(node_id)
    lease = f" for {format_duration(plan.running.lease)}, its lease" if plan is not None else ""
    reason = f"agent {run.agent_id!r} did not renew the run{lease}: it has ended there"
    if run.ends_as is EndsAs.STOPPED or plan is None:
        work.move(node_id, run, RunState.STOPPED, reason)
    else:
        try_again(
            work, node_id, run, f"{reason} and goes on elsewhere", avoid=run.agent_id, failures=run.failures
        )


def _never_begun(work: Work, node_id: str, run: Run, reason: str) -> None:
    if run.ends_as is EndsAs.STOPPED or work.plan(node_id) is None:
        work.move(node_id, run, RunState.STOPPED, reason)
    else:
        try_again(work, node_id, run, reason, failures=run.failures)
