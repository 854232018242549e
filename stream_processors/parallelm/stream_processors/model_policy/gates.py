"""Gates: measurements of a metric, and what they say so far. Words are those of Argo Rollouts.

A measurement is the aggregate of the samples of one interval of event time; without an interval, every sample is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from parallelm.definitions.conditions import holds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.stream_processors.model_policy.settings import Gate


class GateVerdict(StrEnum):
    """What a gate says so far."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """More measurements than the limit were neither: the model is held until a person decides."""
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class GateRun:
    """One gate's measurements; ``window_ms`` is the start of the open interval, -1: none is open."""

    successes: int = 0
    failures: int = 0
    inconclusive: int = 0
    window_ms: float = -1
    samples: int = 0
    total: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf
    last: float = 0.0
    measured: float | None = None
    """The latest measurement."""


def measure(gate: Gate, run: GateRun, samples: Iterable[tuple[float, float]]) -> GateRun:
    """Take samples (event time, value) in the order in which they came; those of a closed interval count in the open one."""
    for at_ms, value in samples:
        if _settled(gate, run):
            break
        if run.window_ms < 0:
            run = replace(run, window_ms=at_ms)
        elif gate.interval_ms and at_ms >= run.window_ms + gate.interval_ms:
            skipped = (at_ms - run.window_ms) // gate.interval_ms
            run = replace(_closed(gate, run), window_ms=run.window_ms + skipped * gate.interval_ms)
        run = replace(
            run,
            samples=run.samples + 1,
            total=run.total + value,
            lowest=min(run.lowest, value),
            highest=max(run.highest, value),
            last=value,
        )
        if not gate.interval_ms and run.samples >= gate.min_samples:
            run = replace(_closed(gate, run), window_ms=-1)
    return run


def verdict_of(gate: Gate, run: GateRun, waited_ms: float) -> GateVerdict:
    """What the measurements say; ``waited_ms`` is how long the gate has been asked, by the broker's clock."""
    if run.failures > gate.failure_limit:
        return GateVerdict.FAILED
    if run.inconclusive > gate.inconclusive_limit:
        return GateVerdict.INCONCLUSIVE
    if run.successes >= gate.count:
        return GateVerdict.PASSED
    if gate.wait_ms and waited_ms >= gate.wait_ms:
        return GateVerdict.FAILED if gate.must_have_data else GateVerdict.PASSED
    return GateVerdict.WAITING


def evidence(gates: Sequence[Gate], runs: Sequence[GateRun]) -> dict[str, object]:
    """For the decision's record."""
    return {
        "gates": [
            {
                "metric": gate.metric,
                "success_condition": gate.success_condition,
                "measured": run.measured,
                "successes": run.successes,
                "failures": run.failures,
                "inconclusive": run.inconclusive,
            }
            for gate, run in zip(gates, runs, strict=True)
        ]
    }


def explained(gate: Gate, run: GateRun) -> str:
    """A gate in a few words."""
    measured = "no data" if run.measured is None else f"{run.measured:g}"
    return f"{gate.metric} is {measured}, wanted {gate.success_condition}"


def _settled(gate: Gate, run: GateRun) -> bool:
    return verdict_of(gate, run, 0) is not GateVerdict.WAITING


def _closed(gate: Gate, run: GateRun) -> GateRun:
    """The open interval's measurement."""
    if run.samples < gate.min_samples:
        after = replace(run, inconclusive=run.inconclusive + 1)
    else:
        value = _aggregated(gate.aggregate, run)
        success = holds(gate.success_condition, value)
        failure = holds(gate.failure_condition, value) if gate.failure_condition else not success
        after = replace(
            run,
            measured=value,
            successes=run.successes + (success and not failure),
            failures=run.failures + (failure and not success),
            inconclusive=run.inconclusive + (success == failure),
        )
    return replace(after, samples=0, total=0.0, lowest=math.inf, highest=-math.inf, last=0.0)


def _aggregated(name: str, run: GateRun) -> float:
    values = {
        "avg": run.total / run.samples,
        "sum": run.total,
        "count": float(run.samples),
        "min": run.lowest,
        "max": run.highest,
        "last": run.last,
    }
    return values[name]
