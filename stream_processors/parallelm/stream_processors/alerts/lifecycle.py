"""One alert's way through inactive, pending, firing and resolved, one sample at a time.

As Prometheus does it with ``for`` and ``keep_firing_for``, but on event time: a sample is an evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from parallelm.schemas.records import AlertState

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """What a sample says about the rule's condition."""

    OK = "ok"
    BREACHED = "breached"
    ENDED = "ended"
    """No sample: what the series is about is over (its model was superseded)."""


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """One judged sample; the order is that in which samples of a series are evaluated."""

    at_ms: float
    value: float
    verdict: Verdict
    note: str = ""
    """Why it ended."""

    @classmethod
    def end(cls, at_ms: float, note: str) -> Sample:
        """Marks that nothing counts from ``at_ms`` on; it sorts behind the samples of its time."""
        return cls(at_ms, math.inf, Verdict.ENDED, note)


@dataclass(frozen=True, slots=True)
class Timing:
    """What of a rule the life cycle depends on."""

    for_ms: int
    keep_firing_for_ms: int


@dataclass(frozen=True, slots=True)
class Alert:
    """Where one alert stands; times are event time."""

    state: AlertState = AlertState.INACTIVE
    started_ms: float = 0.0
    last_breach_ms: float = 0.0
    ended: bool = False

    @property
    def open(self) -> bool:
        """Pending or firing."""
        return self.state in {AlertState.PENDING, AlertState.FIRING}


@dataclass(frozen=True, slots=True)
class Step:
    """One change of state, and the sample that caused it."""

    state: AlertState
    previous_state: AlertState
    at_ms: float
    started_ms: float
    value: float
    note: str = ""


def advance(alert: Alert, sample: Sample, timing: Timing) -> tuple[Alert, Step | None]:
    """Alert after one sample, and the change of state it caused, if any; at most one."""
    if sample.verdict is Verdict.BREACHED and not alert.ended:
        return _breached(alert, sample, timing)
    if sample.verdict is Verdict.ENDED:
        return _closed(replace(alert, ended=True), sample)
    held = sample.at_ms - alert.last_breach_ms < timing.keep_firing_for_ms
    if alert.state is AlertState.FIRING and held:
        return alert, None
    return _closed(alert, sample)


def run(alert: Alert, samples: Iterable[Sample], timing: Timing) -> tuple[Alert, list[Step]]:
    """Alert after many samples, and all its changes of state."""
    steps = []
    for sample in samples:
        alert, step = advance(alert, sample, timing)
        if step is not None:
            steps.append(step)
    return alert, steps


def _breached(alert: Alert, sample: Sample, timing: Timing) -> tuple[Alert, Step | None]:
    started_ms = alert.started_ms if alert.open else sample.at_ms
    due = sample.at_ms - started_ms >= timing.for_ms
    state = AlertState.FIRING if due or alert.state is AlertState.FIRING else AlertState.PENDING
    after = replace(alert, state=state, started_ms=started_ms, last_breach_ms=sample.at_ms)
    return after, _step(alert, after, sample)


def _closed(alert: Alert, sample: Sample) -> tuple[Alert, Step | None]:
    """A pending alert was none after all; a firing one is resolved."""
    closed = {AlertState.PENDING: AlertState.INACTIVE, AlertState.FIRING: AlertState.RESOLVED}
    after = replace(alert, state=closed.get(alert.state, alert.state))
    return after, _step(alert, after, sample)


def _step(before: Alert, after: Alert, sample: Sample) -> Step | None:
    if before.state is after.state:
        return None
    return Step(after.state, before.state, sample.at_ms, after.started_ms, sample.value, sample.note)
