"""What agents say of runs. A report that comes again, or late, or of a run that goes on elsewhere changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import CommandKind, RunReportKind, RunState
from parallelm.schemas.well_known import FAILED, LEASE_LOST, LOST, STOPPED, SUCCEEDED, TIMED_OUT
from parallelm.stream_processors.scheduling.ending import End, settle
from parallelm.stream_processors.scheduling.state import ON_AGENT, EndsAs
from parallelm.stream_processors.scheduling.stopping import try_again
from parallelm.stream_processors.scheduling.watching import LIMIT_SLACK_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.schemas.records import RunReport
    from parallelm.stream_processors.scheduling.state import Run
    from parallelm.stream_processors.scheduling.work import Work

_FIRST_REFUSAL_MS, _LONGEST_REFUSAL_MS = 1_000, 60_000
_SIGNS_OF_LIFE = frozenset({RunReportKind.ACCEPTED, RunReportKind.STARTED, RunReportKind.RESTARTED})


def on_report(work: Work, report: RunReport) -> None:
    """Apply a report, or tell an agent to stop what is not its to run."""
    if report.kind is RunReportKind.RENEWED:
        _renewed(work, report)
        return
    found = _find(work, report.run_id)
    if found is None:
        if report.kind in _SIGNS_OF_LIFE:
            _take_back(work, report, "the run is over, or is not known")
        return
    node_id, run = found
    if not _is_of(run, report):
        if report.kind in _SIGNS_OF_LIFE and report.attempt <= run.attempt:
            _take_back(work, report, f"attempt {run.attempt} of the run has taken its place")
        return
    apply = _APPLIED.get(report.kind)
    if apply is not None:
        apply(work, node_id, run, report)


def _find(work: Work, run_id: str) -> tuple[str, Run] | None:
    for node in work.nodes.values():
        run = node.run(run_id)
        if run is not None:
            return node.node_id, run
    return None


def _is_of(run: Run, report: RunReport) -> bool:
    return (
        run.state in ON_AGENT
        and (run.attempt, run.agent_id) == (report.attempt, report.agent_id)
        and report.epoch in {0, run.epoch}
    )


def goes_on(run: Run, report: RunReport) -> bool:
    """Whether the attempt that a report is of goes on, and was not told to stop."""
    return _is_of(run, report) and run.state is not RunState.STOPPING


def _alive(work: Work, node_id: str, run: Run, **changes: Any) -> Run:
    """Its agent was heard of: the lease begins anew."""
    plan = work.plan(node_id)
    if run.lease_ends_ms and plan is not None:
        changes |= {"lease_ends_ms": work.now_ms + plan.running.lease}
    return work.change(node_id, run, accepted=True, **changes)


def _accepted(work: Work, node_id: str, run: Run, report: RunReport) -> None:  # noqa: ARG001 - as the others
    _alive(work, node_id, run)


def _model_accepted(work: Work, node_id: str, run: Run, report: RunReport) -> None:
    _alive(work, node_id, run, model_id=report.model_id)


def _ended(work: Work, node_id: str, run: Run, report: RunReport) -> None:
    starts = max(run.starts, report.starts)
    settle(work, node_id, work.change(node_id, run, starts=starts), _end_of(report))


def _started(work: Work, node_id: str, run: Run, report: RunReport) -> None:
    restarted = report.starts > run.starts > 0
    run = _alive(work, node_id, run)
    plan = work.plan(node_id)
    limit_ms = 0
    if plan is not None and plan.running.time_limit and not plan.is_online:
        limit_ms = work.now_ms + plan.running.time_limit + plan.running.stop_grace + LIMIT_SLACK_MS
    starts = max(run.starts, report.starts, 1)
    detail = f": {report.message}" if report.message else ""
    if run.state is RunState.STOPPING:
        work.change(node_id, run, starts=starts)
    elif run.state is not RunState.RUNNING:
        work.move(
            node_id, run, RunState.RUNNING, f"it runs on agent {run.agent_id!r}{detail}", starts=starts,
            limit_ms=limit_ms, refusals=0,
        )  # fmt: skip
    elif restarted:
        reason = f"agent {run.agent_id!r} has started it again, {starts} times by now{detail}"
        work.move(node_id, run, RunState.RUNNING, reason, starts=starts, since_ms=run.since_ms)


def _refused(work: Work, node_id: str, run: Run, report: RunReport) -> None:
    why = f"agent {run.agent_id!r} refused it" + (f": {report.message}" if report.message else "")
    plan = work.plan(node_id)
    if run.ends_as is EndsAs.STOPPED or plan is None:
        work.move(node_id, run, RunState.STOPPED, why)
        return
    if report.outcome == FAILED:  # whichever agent is asked, and however often
        work.move(node_id, run, RunState.FAILED, why)
        if plan.is_online:
            service = work.node(node_id).service(run.instance)
            work.put_service(node_id, replace(service, refused_form=run.form))
        return
    delay_ms = min(_FIRST_REFUSAL_MS * 2 ** min(run.refusals, 20), _LONGEST_REFUSAL_MS)
    try_again(
        work, node_id, run, f"{why}; next attempt in {format_duration(delay_ms)}",
        not_before_ms=work.now_ms + delay_ms, avoid=run.agent_id, failures=run.failures, refusals=run.refusals + 1,
    )  # fmt: skip


def _renewed(work: Work, report: RunReport) -> None:
    """Of several attempts of a run an agent may have had each: a late renewal says nothing of a later one."""
    for run_id, attempt in zip(report.runs, report.attempts, strict=False):
        of_run = replace(report, run_id=run_id, attempt=attempt)
        found = _find(work, run_id)
        if found is None:
            _take_back(work, of_run, "the run is over, or is not known")
            continue
        node_id, run = found
        if _is_of(run, of_run):
            _alive(work, node_id, run)
        else:
            _take_back(work, of_run, f"the run goes on as attempt {run.attempt}, or elsewhere")


def _take_back(work: Work, report: RunReport, reason: str) -> None:
    """The agent is to stop the attempt that a report is of."""
    work.command(
        CommandKind.STOP, report.node_id, report.run_id, report.attempt, agent_id=report.agent_id, epoch=report.epoch,
        reason=reason, about="not its own",
    )  # fmt: skip


_WORDS = {
    SUCCEEDED: "it succeeded",
    STOPPED: "it was stopped",
    TIMED_OUT: "its time limit was over",
    LEASE_LOST: "it was stopped, since its agent could not renew its lease",
    LOST: "its host does not know how it ended",
}


def _end_of(report: RunReport) -> End:
    outcome = report.outcome or FAILED
    why = _WORDS.get(outcome)
    if why is None:
        code = report.exit_code
        why = f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
    detail = f": {report.message}" if report.message else ""
    return End(outcome, why + detail, report.exit_code)


_APPLIED: Mapping[RunReportKind, Callable[[Work, str, Run, RunReport], None]] = {
    RunReportKind.ACCEPTED: _accepted,
    RunReportKind.STARTED: _started,
    RunReportKind.RESTARTED: _started,
    RunReportKind.REFUSED: _refused,
    RunReportKind.ENDED: _ended,
    RunReportKind.MODEL_ACCEPTED: _model_accepted,
}
