"""What holds a candidate back: cool-down, windows, and gates whose measurements are not enough yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.stream_processors.model_policy import gates
from parallelm.stream_processors.model_policy.gates import GateRun
from parallelm.stream_processors.model_policy.windows import opens_ms

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.settings import PolicySettings
    from parallelm.stream_processors.model_policy.state import Deployment, NodeDeployments
    from parallelm.stream_processors.model_policy.work import Work


def waits(
    work: Work, settings: PolicySettings, node: NodeDeployments, candidate: Deployment
) -> tuple[str, int]:
    """Why it is not the time to deploy, and until when; empty when it is."""
    now_ms = work.at.broker_ms
    if candidate.forced:
        return "", 0
    cool_ms = node.changed_ms + settings.cool_down_ms if node.changed_ms else 0
    if cool_ms > now_ms:
        return (
            f"cool-down: the last deployment was less than {format_duration(settings.cool_down_ms)} ago",
            cool_ms,
        )
    opens = opens_ms(settings.windows, now_ms)
    return ("no deployment window is open", opens) if opens > now_ms else ("", 0)


def runs(settings: PolicySettings, candidate: Deployment) -> tuple[GateRun, ...]:
    """Measurements of the gates before; after a change of policy they begin anew."""
    if len(candidate.runs) == len(settings.before):
        return candidate.runs
    return tuple(GateRun() for _ in settings.before)


def early_runs(work: Work, settings: PolicySettings, model_id: str) -> tuple[GateRun, ...]:
    """Measurements from what was reported about the model before it was announced."""
    readings = [each for each in work.known.measured.early if each.model_id == model_id]
    return tuple(
        gates.measure(
            gate,
            GateRun(),
            [(each.at_ms, each.value) for each in readings if gate.takes(each.metric, each.labels)],
        )
        for gate in settings.before
    )
