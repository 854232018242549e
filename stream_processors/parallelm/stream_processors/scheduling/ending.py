"""What becomes of a run that has ended on its agent: over, tried again, moved, or a service that is to be up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import RunState
from parallelm.schemas.well_known import FAILED, LEASE_LOST, LOST, STOPPED, SUCCEEDED, TIMED_OUT
from parallelm.stream_processors.scheduling.state import EndsAs
from parallelm.stream_processors.scheduling.stopping import try_again

if TYPE_CHECKING:
    from parallelm.stream_processors.scheduling.plans import NodePlan
    from parallelm.stream_processors.scheduling.state import Run
    from parallelm.stream_processors.scheduling.work import Work

LASTED_MS = 600_000
"""A service that ran for so long has not failed in a row."""

_STATES = {
    SUCCEEDED: RunState.SUCCEEDED,
    FAILED: RunState.FAILED,
    TIMED_OUT: RunState.FAILED,
    STOPPED: RunState.STOPPED,
    LEASE_LOST: RunState.STOPPED,
    LOST: RunState.LOST,
}


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, in words as well."""

    outcome: str
    why: str
    exit_code: int = 0

    @property
    def state(self) -> RunState:
        """State of a run that ends so and is not tried again."""
        return _STATES.get(self.outcome, RunState.FAILED)

    @property
    def is_failure(self) -> bool:
        """Whether another attempt may do better."""
        return self.state in {RunState.FAILED, RunState.LOST}


def settle(work: Work, node_id: str, run: Run, end: End) -> None:
    """The run does not run on its agent any more."""
    plan = work.plan(node_id)
    if run.ends_as is EndsAs.STOPPED or plan is None:
        state = end.state if end.outcome == SUCCEEDED else RunState.STOPPED
        state = RunState.LOST if end.state is RunState.LOST else state
        _end(work, node_id, run, end, state)
    elif run.ends_as is EndsAs.MOVED and end.outcome != SUCCEEDED:
        try_again(
            work, node_id, run, f"{end.why}: it goes on elsewhere", avoid=run.agent_id, failures=run.failures
        )
    elif run.ends_as is EndsAs.TIMED_OUT and end.outcome == STOPPED:
        _end_or_retry(work, plan, run, replace(end, outcome=TIMED_OUT))
    elif end.outcome == LEASE_LOST or (end.outcome == STOPPED and (plan.is_online or plan.is_movable)):
        try_again(work, node_id, run, f"{end.why}; it is to go on", avoid=run.agent_id, failures=run.failures)
    elif plan.is_online and end.outcome == LOST:
        try_again(work, node_id, run, f"{end.why}; it is to go on", failures=run.failures)
    else:
        _end_or_retry(work, plan, run, end)


def _end_or_retry(work: Work, plan: NodePlan, run: Run, end: End) -> None:
    if plan.is_online:
        _end(work, plan.node_id, run, end, end.state)
        _keep_up(work, plan, run, end)
        return
    retry = plan.running.retry
    if end.is_failure and run.failures < retry.limit:
        delay_ms = min(int(retry.delay * retry.backoff**run.failures), retry.max_delay)
        reason = f"{end.why}; retry {run.failures + 1} of {retry.limit} in {format_duration(delay_ms)}"
        not_before_ms = work.now_ms + max(delay_ms, 1)
        try_again(
            work,
            plan.node_id,
            run,
            reason,
            not_before_ms=not_before_ms,
            avoid=run.agent_id,
            failures=run.failures + 1,
        )
        return
    again = f", the last of {run.failures + 1} attempts" if end.is_failure and run.failures else ""
    _end(work, plan.node_id, run, replace(end, why=end.why + again), end.state)


def _end(work: Work, node_id: str, run: Run, end: End, state: RunState) -> None:
    work.move(node_id, run, state, end.why, exit_code=end.exit_code)


def _keep_up(work: Work, plan: NodePlan, run: Run, end: End) -> None:
    """A service that has ended by itself is started anew, later the more often that was needed, or it is done."""
    service, restart = work.node(plan.node_id).service(run.instance), plan.running.restart
    if restart.when == "never" or (restart.when == "on_failure" and end.outcome == SUCCEEDED):
        work.put_service(plan.node_id, replace(service, is_done=True))
        return
    lasted = work.now_ms - run.since_ms >= LASTED_MS
    failures = 0 if lasted else service.failures + 1
    delay_ms = min(restart.delay * 2 ** min(failures, 20), restart.max_delay)
    if end.outcome == FAILED and restart.limit:  # its agent has given up
        delay_ms = restart.max_delay
    model = work.world.model_of(plan.node_id, plan.running.default_model)
    if model is not None and model.model_id != run.model_id:
        failures, delay_ms = (
            0,
            restart.delay,
        )  # how it went without that model says nothing of how it goes with it
    work.put_service(
        plan.node_id, replace(service, failures=failures, not_before_ms=work.now_ms + max(delay_ms, 1))
    )
