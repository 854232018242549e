"""What is remembered of one series for one rule, and how its samples change it."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.definitions.durations import approximate_duration
from parallelm.schemas.records import AlertState
from parallelm.schemas.well_known import MAX_TIME_MS, MIN_TIME_MS
from parallelm.stream_processors.alerts.event_time import MAX_AHEAD_MS, judged_at
from parallelm.stream_processors.alerts.lifecycle import (
    CALM,
    FLAP_CALM_MS,
    FLAP_WINDOW_MS,
    Life,
    Step,
    advance,
    end,
    fire_on_silence,
    max_gap_ms,
    median,
    with_distance,
)
from parallelm.stream_processors.alerts.rules import SampleRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.stream_processors.alerts.rule import RuleSettings
    from parallelm.stream_processors.alerts.rules import Judged, SeriesRule

DEFAULT_STALE_MS = 86_400_000
FORGET_MS = 30 * 86_400_000
"""How long a calm series that reports no more is remembered when its rule does not say when it has stopped."""
MAX_HELD = 1_000
"""Samples that wait for late ones at most; beyond, the oldest are judged."""
_STALE_FACTOR = 5


class Held(NamedTuple):
    """A sample that waits for its rule's ``grace``."""

    at_ms: float
    value: float
    offset: int


class Memory(NamedTuple):
    """Everything that is remembered of one series for one rule. Small, and plain JSON values."""

    newest_ms: float = -math.inf
    """Newest event time that was judged."""
    arrived_ms: int = 0
    """Broker's clock at the last sample."""
    distances: tuple[float, ...] = ()
    """Between the last samples, in event time."""
    life: Life = CALM
    detector: Any = None
    """What the rule's type remembers."""
    held: tuple[Held, ...] = ()

    @classmethod
    def from_json(cls, stored: Sequence[Any]) -> Memory:
        """Inverse of JSON, which knows neither tuples nor states."""
        newest_ms, arrived_ms, distances, life, detector, held = stored
        state, started_ms, last_breach_ms, begins = life
        return cls(
            newest_ms,
            arrived_ms,
            tuple(distances),
            Life(AlertState(state), started_ms, last_breach_ms, tuple(begins)),
            detector,
            tuple(Held(*each) for each in held),
        )


Changes = list[tuple[Step, int]]
"""Changes of state, each with the offset of the record that caused it."""


def absorb(
    memory: Memory,
    rule: SampleRule,
    samples: Iterable[tuple[float, float]],
    arrived_ms: int,
    offset: int,
    changes: Changes,
    statistic: str,
) -> Memory:
    """Memory after the samples of one record, in their order; changes of state are added to ``changes``."""
    limit, now_ms = arrived_ms + MAX_AHEAD_MS, float(arrived_ms)
    usable = [
        (at_ms // 1 if at_ms <= limit else now_ms, value)  # as ``judged_at``
        for at_ms, value in samples
        # NaN is neither: it says nothing about a threshold, or about when.
        if value == value and MIN_TIME_MS <= at_ms <= MAX_TIME_MS  # noqa: PLR0124
    ]
    if not usable:
        return memory
    # A window has waited for its late samples already.
    grace_ms = 0 if rule.settings.aggregation is not None else rule.settings.grace_ms
    if grace_ms:
        memory = _hold(memory, usable, arrived_ms, offset)
        if not memory.held:
            return memory
        return _release(memory, rule, memory.held[-1].at_ms - grace_ms, changes, statistic)
    newest_ms, _, distances, life, detector, held = memory
    last = len(usable) - 1
    for at, (at_ms, value) in enumerate(usable):
        if at_ms < newest_ms or (at < last and usable[at + 1][0] == at_ms):
            continue  # late, or not the last report of its time
        newest_ms, distances, life, detector = _judge(
            rule, newest_ms, distances, life, detector, at_ms, value, offset, changes, statistic
        )
    return Memory(newest_ms, arrived_ms, distances, life, detector, held)


def absorb_judged(
    memory: Memory, settings: RuleSettings, judged: Judged, arrived_ms: int, offset: int, changes: Changes
) -> Memory:
    """Memory after a sample that comes with its judgement."""
    at_ms = judged_at(judged.at_ms, arrived_ms)
    if at_ms < memory.newest_ms:
        return memory
    distance = at_ms - memory.newest_ms
    interrupted = distance > max_gap_ms(settings.timing, memory.distances)
    life, steps = advance(
        memory.life, at_ms, judged.value, settings.timing, breached=judged.breached, interrupted=interrupted
    )
    changes.extend(
        (step._replace(threshold=judged.threshold, reason=step.reason or judged.reason), offset)
        for step in steps
    )
    distances = memory.distances
    if 0 < distance < math.inf:
        distances = with_distance(distances, distance)
    return Memory(at_ms, arrived_ms, distances, life, memory.detector, memory.held)


def stale_after_ms(memory: Memory, settings: RuleSettings) -> float:
    """How long after its last sample, by the broker's clock, a series has stopped."""
    if settings.stale_after_ms is not None:
        return max(settings.stale_after_ms, FLAP_CALM_MS if memory.life.flaps else 0)
    return max(DEFAULT_STALE_MS, _STALE_FACTOR * (median(memory.distances) or 0))


def due_ms(memory: Memory, settings: RuleSettings) -> float:
    """When time alone changes something: samples are held no longer, the series has stopped, or may be forgotten."""
    if memory.held:
        return memory.arrived_ms + settings.grace_ms
    stale_ms = stale_after_ms(memory, settings)
    if settings.no_data == "alerting" or (memory.life.is_open and settings.no_data != "keep"):
        return memory.arrived_ms + stale_ms
    # How often an alert has begun outlives it: a series that comes and goes flaps, too.
    forget_ms = FORGET_MS if settings.stale_after_ms is None else FLAP_WINDOW_MS
    return memory.arrived_ms + max(forget_ms, stale_ms)


def on_time(
    memory: Memory, rule: SeriesRule, now_ms: float, changes: Changes, statistic: str
) -> Memory | None:
    """Memory after its time has come; None: forgotten."""
    settings = rule.settings
    if now_ms < due_ms(memory, settings):
        return memory
    if memory.held and isinstance(rule, SampleRule):
        memory = _release(memory, rule, math.inf, changes, statistic)
        if now_ms < due_ms(memory, settings):
            return memory
    return on_silence(memory, settings, changes)


def on_silence(memory: Memory, settings: RuleSettings, changes: Changes) -> Memory | None:
    """Memory of a series that has stopped, as ``no_data`` says; None: forgotten."""
    if memory.newest_ms == -math.inf:
        return None
    stale_ms = stale_after_ms(memory, settings)
    at_ms = memory.newest_ms + stale_ms
    reason = f"no sample for {approximate_duration(stale_ms)}"
    life = memory.life
    if settings.no_data == "alerting":
        life, steps = fire_on_silence(life, at_ms, memory.newest_ms, reason)
        changes.extend((step, -1) for step in steps)
        return memory._replace(arrived_ms=memory.arrived_ms + FORGET_MS, life=life, held=())
    if not life.is_open:
        return None
    if settings.no_data == "keep":
        return memory._replace(arrived_ms=memory.arrived_ms + FORGET_MS)
    life, steps = end(life, at_ms, reason)
    changes.extend((step, -1) for step in steps)
    return memory._replace(life=life, held=())


def _judge(
    rule: SampleRule,
    newest_ms: float,
    distances: tuple[float, ...],
    life: Life,
    detector: Any,
    at_ms: float,
    value: float,
    offset: int,
    changes: Changes,
    statistic: str,
) -> tuple[float, tuple[float, ...], Life, Any]:
    after, breached = rule.judge(detector, at_ms, value)
    distance = at_ms - newest_ms
    if breached is not None and (breached or life.state is not AlertState.INACTIVE):
        timing = rule.settings.timing
        interrupted = distance > max_gap_ms(timing, distances)
        life, steps = advance(life, at_ms, value, timing, breached=breached, interrupted=interrupted)
        for step in steps:
            changes.append((explained(rule, detector, step, statistic), offset))
    if 0 < distance < math.inf:
        distances = with_distance(distances, distance)
    return at_ms, distances, life, after


def explained(rule: SampleRule, detector: Any, step: Step, statistic: str) -> Step:
    """A step with the number that was compared, its threshold and a sentence."""
    if math.isnan(step.value):
        return step
    found = rule.explain(detector, step, statistic)
    return step._replace(value=found.value, threshold=found.threshold, reason=step.reason or found.reason)


def _hold(memory: Memory, samples: Iterable[tuple[float, float]], arrived_ms: int, offset: int) -> Memory:
    held = list(memory.held)
    for at_ms, value in samples:
        if at_ms >= memory.newest_ms:
            place = bisect_right(held, at_ms, key=lambda each: each.at_ms)
            held.insert(place, Held(at_ms, value, offset))
    if not held:
        return memory
    return memory._replace(held=tuple(held), arrived_ms=arrived_ms)


def _release(memory: Memory, rule: SampleRule, until_ms: float, changes: Changes, statistic: str) -> Memory:
    """Judge the held samples up to a time: those that come late from now on are too late."""
    held = memory.held
    count = bisect_right(held, until_ms, key=lambda each: each.at_ms)
    count = max(count, len(held) - MAX_HELD)
    newest_ms, arrived_ms, distances, life, detector, _ = memory
    for at, (at_ms, value, offset) in enumerate(held[:count]):
        if at + 1 < len(held) and held[at + 1].at_ms == at_ms:
            continue
        newest_ms, distances, life, detector = _judge(
            rule, newest_ms, distances, life, detector, at_ms, value, offset, changes, statistic
        )
    return Memory(newest_ms, arrived_ms, distances, life, detector, held[count:])
