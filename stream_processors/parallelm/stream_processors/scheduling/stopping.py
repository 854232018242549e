"""Runs that are to end, and runs that go on as another attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.records import CommandKind, RunState
from parallelm.stream_processors.scheduling.state import EndsAs

if TYPE_CHECKING:
    from parallelm.stream_processors.scheduling.state import Run
    from parallelm.stream_processors.scheduling.work import Work


def stop(work: Work, node_id: str, run: Run, reason: str, ends_as: EndsAs = EndsAs.STOPPED) -> None:
    """Tell its agent to stop a run; one that no agent has ends at once. A later reason of more weight takes its place."""
    if run.state in {RunState.WAITING, RunState.UNKNOWN}:
        if ends_as is not EndsAs.MOVED:
            work.move(node_id, run, RunState.STOPPED, reason)
        return
    if run.state is RunState.STOPPING:
        if ends_as is EndsAs.STOPPED and run.ends_as is not EndsAs.STOPPED:
            work.change(node_id, run, ends_as=ends_as)
        return
    work.move(node_id, run, RunState.STOPPING, reason, ends_as=ends_as)
    work.command(
        CommandKind.STOP,
        node_id,
        run.run_id,
        run.attempt,
        agent_id=run.agent_id,
        epoch=run.epoch,
        reason=reason,
    )


def try_again(work: Work, node_id: str, run: Run, reason: str, *, not_before_ms: int = 0, avoid: str = "", failures: int = 0, refusals: int = 0) -> None:  # fmt: skip
    """The run goes on as its next attempt, which waits for an agent."""
    work.move(
        node_id, run, RunState.WAITING, reason, attempt=run.attempt + 1, agent_id="", epoch=0, accepted=False,
        not_before_ms=not_before_ms, avoid=avoid, failures=failures, refusals=refusals, expires_ms=0, lease_ends_ms=0,
        limit_ms=0, ends_as=EndsAs.NOTHING,
    )  # fmt: skip
