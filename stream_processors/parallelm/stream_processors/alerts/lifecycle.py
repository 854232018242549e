"""One alert's way through pending, firing and resolved, one judged sample at a time.

As Prometheus does it with ``for`` and ``keep_firing_for``, but on event time: a sample is an evaluation. A breach counts
as held only while samples come, and an alert that flaps stays firing until it is calm.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from parallelm.definitions.durations import approximate_duration
from parallelm.schemas.records import AlertState

FLAP_LIMIT = 6
"""An alert that begins more often than this within ``FLAP_WINDOW_MS`` flaps."""
FLAP_WINDOW_MS = 3_600_000
FLAP_CALM_MS = 600_000
"""How long a flapping alert must be without a breach to end."""
MIN_DISTANCES = 4
"""Distances of five samples: fewer say nothing about how often a series reports."""
_MAX_DISTANCES = 9
_GAP_FACTOR = 5


class Timing(NamedTuple):
    """What of a rule the life cycle depends on, in milliseconds of event time."""

    for_ms: float = 0
    keep_firing_for_ms: float = 0
    max_gap_ms: float | None = None
    """A longer silence interrupts a breach; None: by ``for`` and by how often the series reports."""


class Life(NamedTuple):
    """Where one alert stands; times are event time, epoch milliseconds."""

    state: AlertState = AlertState.INACTIVE
    started_ms: float = 0.0
    last_breach_ms: float = 0.0
    begins: tuple[float, ...] = ()
    """When its last episodes began, newest last; those older than ``FLAP_WINDOW_MS`` are forgotten at the next one."""

    @property
    def is_open(self) -> bool:
        """Pending or firing."""
        return self.state is not AlertState.INACTIVE

    @property
    def flaps(self) -> bool:
        """Whether it has begun too often to end and begin again at each sample."""
        return len(self.begins) > FLAP_LIMIT


CALM = Life()


class Step(NamedTuple):
    """One change of state."""

    state: AlertState
    previous_state: AlertState
    at_ms: float
    started_ms: float
    value: float = math.nan
    threshold: float = math.nan
    reason: str = ""
    """Empty: the rule explains it by the value."""
    revises: tuple[AlertState, float, float] | None = None
    """State, time and start of the earlier step that this one corrects."""


def max_gap_ms(timing: Timing, distances: tuple[float, ...]) -> float:
    """The longest silence between two samples over which a breach counts as held.

    ``distances`` are those between earlier samples, without the one in question.
    """
    if timing.max_gap_ms is not None:
        return timing.max_gap_ms
    usual = median(distances)
    return max(timing.for_ms / 2, _GAP_FACTOR * usual if usual is not None else 0)


def median(distances: tuple[float, ...]) -> float | None:
    """Median distance of the samples; None when there are too few."""
    if len(distances) < MIN_DISTANCES:
        return None
    ordered = sorted(distances)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def with_distance(distances: tuple[float, ...], distance_ms: float) -> tuple[float, ...]:
    """The last distances, with one more."""
    return (*distances[1 - _MAX_DISTANCES :], distance_ms)


def advance(
    life: Life, at_ms: float, value: float, timing: Timing, *, breached: bool, interrupted: bool
) -> tuple[Life, tuple[Step, ...]]:
    """Life after one judged sample, and its changes of state.

    ``interrupted``: since the sample before it, the series was silent for longer than a breach counts as held.
    """
    if not breached:
        return _calm(life, at_ms, value, timing)
    if life.state is AlertState.FIRING:
        return life._replace(last_breach_ms=at_ms), ()
    if life.state is AlertState.INACTIVE:
        return _begin(life, at_ms, value, timing, ())
    if interrupted:
        reason = f"no samples from {approximate_duration(at_ms - life.last_breach_ms)} before this one: it may have been over"
        life, steps = end(life, at_ms, reason)
        return _begin(life, at_ms, value, timing, steps)
    if at_ms - life.started_ms < timing.for_ms:
        return life._replace(last_breach_ms=at_ms), ()
    previous = AlertState.INACTIVE if life.flaps else AlertState.PENDING
    fired = life._replace(state=AlertState.FIRING, last_breach_ms=at_ms)
    return fired, (Step(AlertState.FIRING, previous, at_ms, life.started_ms, value),)


def fire_on_silence(life: Life, at_ms: float, newest_ms: float, reason: str) -> tuple[Life, tuple[Step, ...]]:
    """Life after silence that is an alert itself. The first sample that is no breach ends it: silence began at ``newest_ms``."""
    if life.state is AlertState.FIRING:
        return life._replace(last_breach_ms=newest_ms), ()
    previous = life.state if life.is_open and not life.flaps else AlertState.INACTIVE
    begun = life if life.is_open else _new_episode(life, at_ms, AlertState.FIRING)
    at_ms = max(at_ms, begun.started_ms)
    fired = begun._replace(state=AlertState.FIRING, last_breach_ms=newest_ms)
    return fired, (Step(AlertState.FIRING, previous, at_ms, fired.started_ms, reason=reason),)


def end(life: Life, at_ms: float, reason: str) -> tuple[Life, tuple[Step, ...]]:
    """Life after what the alert is about has ended, for a reason that is no sample."""
    return _close(life, at_ms, math.nan, reason)


def _begin(
    life: Life, at_ms: float, value: float, timing: Timing, before: tuple[Step, ...]
) -> tuple[Life, tuple[Step, ...]]:
    state = AlertState.PENDING if timing.for_ms > 0 else AlertState.FIRING
    life = _new_episode(life, at_ms, state)
    if life.flaps and state is AlertState.PENDING:
        # Reported when it fires: a condition that flaps below ``for`` would be most of the topic.
        return life, before
    return life, (*before, Step(state, AlertState.INACTIVE, life.started_ms, life.started_ms, value))


def _new_episode(life: Life, at_ms: float, state: AlertState) -> Life:
    """An episode that begins at ``at_ms``; a millisecond later if one has begun there before: its start is its identity."""
    started_ms = at_ms
    while started_ms in life.begins:
        started_ms += 1
    begins = (*(begin for begin in life.begins if begin > at_ms - FLAP_WINDOW_MS), started_ms)
    return Life(state, started_ms, at_ms, begins[-FLAP_LIMIT - 1 :])


def _calm(life: Life, at_ms: float, value: float, timing: Timing) -> tuple[Life, tuple[Step, ...]]:
    if life.state is AlertState.INACTIVE:
        return life, ()
    if life.state is AlertState.FIRING:
        keep_ms = max(timing.keep_firing_for_ms, FLAP_CALM_MS) if life.flaps else timing.keep_firing_for_ms
        if at_ms - life.last_breach_ms < keep_ms:
            return life, ()
    return _close(life, at_ms, value, "")


def _close(life: Life, at_ms: float, value: float, reason: str) -> tuple[Life, tuple[Step, ...]]:
    """A pending alert was none after all; a firing one is resolved."""
    closed = Life(begins=life.begins)
    at_ms = max(at_ms, life.started_ms)
    if life.state is AlertState.INACTIVE:
        return closed, ()
    if life.state is AlertState.PENDING:
        if life.flaps:
            return closed, ()
        return closed, (Step(AlertState.INACTIVE, life.state, at_ms, life.started_ms, value, reason=reason),)
    return closed, (Step(AlertState.RESOLVED, life.state, at_ms, life.started_ms, value, reason=reason),)
