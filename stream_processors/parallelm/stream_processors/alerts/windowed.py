"""Rules over windows of several series: parts of windows come from many partitions, a window is judged when it is over.

A window is over when every partition that reports has gone beyond it, or when nothing has come for it for a while.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.stream_processors.alerts import series
from parallelm.stream_processors.alerts.rules import Progress
from parallelm.stream_processors.alerts.series import Memory
from parallelm.stream_processors.alerts.windows import FIELDS, WindowSums

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.schemas.records import RuleAggregate
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rules import SampleRule

IDLE_MS = 10_000
"""A partition that has reported nothing for so long, by the broker's clock, is not waited for."""
MIN_LATENESS_MS = 1_000
MAX_WINDOWS = 500
"""Open windows of a group; beyond, the oldest are judged."""


@dataclass(slots=True)
class Group:
    """What is remembered of one group of a rule over windows."""

    windows: dict[float, WindowSums] = field(default_factory=dict)
    newest: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Newest window and broker's clock of the last part, by partition of the statistics."""
    closed_ms: float = -math.inf
    """Windows that began before this are judged: what comes for them is too late."""
    series: Memory = field(default_factory=Memory)

    @classmethod
    def from_json(cls, stored: Any) -> Group:
        """Inverse of ``to_json``; a new group for None."""
        if stored is None:
            return cls()
        windows, newest, closed_ms, memory = stored
        return cls(
            {start: WindowSums(*sums) for start, sums in windows},
            {source: (start, arrived_ms) for source, start, arrived_ms in newest},
            closed_ms,
            Memory.from_json(memory),
        )

    def to_json(self) -> list[Any]:
        """Plain values."""
        return [
            [
                [start, [sums.count, sums.total, sums.minimum, sums.maximum, dict(sums.sketch)]]
                for start, sums in sorted(self.windows.items())
            ],
            [[source, *newest] for source, newest in self.newest.items()],
            self.closed_ms,
            self.series,
        ]

    @property
    def arrived_ms(self) -> int:
        """Broker's clock at the last part."""
        return max((arrived_ms for _, arrived_ms in self.newest.values()), default=0)


def absorb_part(stored: Any, rule: SampleRule, part: RuleAggregate, arrived_ms: int) -> Progress:
    """Group after a part of some windows."""
    return absorb_parts(stored, rule, (part,), arrived_ms)


def absorb_parts(stored: Any, rule: SampleRule, parts: Iterable[RuleAggregate], arrived_ms: int) -> Progress:
    """Group after parts that arrived together: none of them makes another one late."""
    group = Group.from_json(stored)
    for part in parts:
        starts = list(part.timestamps_ms)
        sketches = json.loads(part.data) if part.data else [{}] * len(starts)
        for at, start in enumerate(starts):
            if start >= group.closed_ms:
                count, total, minimum, maximum = part.values[at * FIELDS : (at + 1) * FIELDS]
                sums = WindowSums(count, total, minimum, maximum, sketches[at])
                group.windows.setdefault(start, WindowSums()).merge(sums)
        if starts:
            source = str(part.cause.partition)
            newest = max(starts[-1], group.newest.get(source, (-math.inf, 0))[0])
            group.newest[source] = (newest, arrived_ms)
    waiting = [start for start, heard_ms in group.newest.values() if group.arrived_ms - heard_ms < IDLE_MS]
    watermark = min(waiting, default=-math.inf) - _lateness_ms(rule)
    return _judged(group, rule, watermark, arrived_ms)


def on_time(stored: Any, rule: SampleRule, now_ms: int) -> Progress:
    """Group after the broker's clock has reached its time."""
    group = Group.from_json(stored)
    steps: Sequence[Step] = ()
    if group.windows and now_ms >= group.arrived_ms + _idle_ms(rule):
        progress = _judged(group, rule, math.inf, now_ms)
        group, steps = Group.from_json(progress.memory), progress.steps
    changes: series.Changes = []
    memory = series.on_time(group.series, rule, now_ms, changes, _name(rule))
    steps = [*steps, *(step for step, _ in changes)]
    if memory is None and not group.windows:
        return Progress(None, None, steps)
    group.series = memory or Memory()
    return Progress(group.to_json(), _due_ms(group, rule), steps)


def close_all(stored: Any, rule: SampleRule) -> Progress:
    """Group after all its windows are judged: nothing more comes for them."""
    group = Group.from_json(stored)
    return _judged(group, rule, math.inf, group.arrived_ms)


def _judged(group: Group, rule: SampleRule, watermark_ms: float, arrived_ms: int) -> Progress:
    """Judge the windows that end at or before the watermark, the oldest first."""
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    over = sorted(start for start in group.windows if start + aggregation.window_ms <= watermark_ms)
    over = sorted({*over, *sorted(group.windows)[: max(0, len(group.windows) - MAX_WINDOWS)]})
    changes: series.Changes = []
    for start in over:
        sums = group.windows.pop(start)
        value = sums.result(aggregation.function, aggregation.quantile)
        sample = (start + aggregation.window_ms, value)
        group.series = series.absorb(
            group.series, rule, (sample,), max(arrived_ms, int(sample[0])), -1, changes, _name(rule)
        )
        group.closed_ms = max(group.closed_ms, start + aggregation.window_ms)
    group.series = group.series._replace(arrived_ms=arrived_ms)
    return Progress(group.to_json(), _due_ms(group, rule), [step for step, _ in changes])


def _due_ms(group: Group, rule: SampleRule) -> float:
    silence = series.due_ms(group.series._replace(held=()), rule.settings)
    return min(silence, group.arrived_ms + _idle_ms(rule)) if group.windows else silence


def _lateness_ms(rule: SampleRule) -> float:
    """How far beyond a window its partitions must be, in event time."""
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    return max(rule.settings.grace_ms, min(MIN_LATENESS_MS, aggregation.window_ms))


def _idle_ms(rule: SampleRule) -> float:
    """How long after its last part an open window is judged, by the broker's clock."""
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    return max(IDLE_MS, rule.settings.grace_ms, min(aggregation.window_ms, 60_000))


def _name(rule: SampleRule) -> str:
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    what = aggregation.function
    if what == "quantile":
        what = f"{aggregation.quantile:g} quantile"
    return f"{what} of {rule.settings.matching.statistic or 'the statistics'}"
