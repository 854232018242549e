"""What the control plane was told of each run, and from that what it is still to be told. Pure.

Reports follow from the difference between a run's status, which its runner has on disk, and what is stored as told. So an
end of the agent at any moment loses no report: after the restart the difference is still there.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.records import RunReport, RunReportKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.agent.runners import Delivery, RunKey, RunStatus

REFUSED = "refused"
"""``Told.outcome`` of a run that was refused: it never starts here, however often it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the control plane was told of a run."""

    is_accepted: bool = False
    starts: int = 0
    outcome: str = ""
    message: str = ""
    deliveries: frozenset[str] = frozenset()
    """Of those that the runner still lists, the ones whose end was told: ``delivery_id``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who reports."""

    agent_id: str
    epoch: int


def delivery_id(delivery: Delivery) -> str:
    """Names one ended delivery to a run."""
    return f"{delivery.model_id}/{delivery.deployment_id}/{delivery.at_ms}"


def to_tell(told: Told, status: RunStatus, speaker: Speaker, now_ms: int) -> tuple[list[RunReport], Told]:
    """Reports of what has changed, in order and without numbers, and what has been told with them."""
    reports = list(_reports(told, status, speaker, now_ms))
    return reports, Told(
        is_accepted=True,
        starts=max(told.starts, status.starts),
        outcome=told.outcome or status.outcome,
        message=status.message if status.is_over else told.message,
        deliveries=frozenset(delivery_id(each) for each in status.deliveries),
    )


def _reports(told: Told, status: RunStatus, speaker: Speaker, now_ms: int) -> Iterator[RunReport]:
    def report(kind: RunReportKind, **fields: object) -> RunReport:
        made = run_report(status.spec.mlapp_id, status.spec.node_id, status.key, speaker, now_ms, kind)
        return dataclasses.replace(made, starts=status.starts, **fields)  # type: ignore[arg-type]

    if told.outcome:
        return
    if not told.is_accepted:
        yield report(RunReportKind.ACCEPTED)
    if status.starts > told.starts:
        first = told.starts == 0
        yield report(
            RunReportKind.STARTED if first else RunReportKind.RESTARTED,
            pid=status.pid,
            model_id=status.model_id,
            message="" if status.is_over else status.message,
            event_time_ms=status.started_at_ms or now_ms,
        )
    for delivery in status.deliveries:
        if delivery_id(delivery) not in told.deliveries:
            kind = RunReportKind.MODEL_ACCEPTED if delivery.is_accepted else RunReportKind.MODEL_REFUSED
            yield report(
                kind, model_id=delivery.model_id, message=delivery.reason, event_time_ms=delivery.at_ms
            )
    if status.is_over:
        yield report(
            RunReportKind.ENDED,
            outcome=status.outcome,
            exit_code=status.exit_code,
            model_id=status.model_id,
            message=status.message,
            event_time_ms=status.ended_at_ms or now_ms,
        )


def run_report(
    mlapp_id: str, node_id: str, key: RunKey, speaker: Speaker, now_ms: int, kind: RunReportKind
) -> RunReport:
    """A report without a number yet."""
    return RunReport(
        event_time_ms=now_ms,
        mlapp_id=mlapp_id,
        node_id=node_id,
        run_id=key.run_id,
        attempt=key.attempt,
        agent_id=speaker.agent_id,
        epoch=speaker.epoch,
        seq=0,
        kind=kind,
    )
