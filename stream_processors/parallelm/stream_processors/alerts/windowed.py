"""Rules over windows of several series: parts of windows come from many partitions, a window is judged when it is over.

A window is over when every partition that reports has gone beyond it. Which partitions report the clock says, once all that
had arrived is handled: in a backlog one partition may be far ahead of another.
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
    from collections.abc import Iterable

    from parallelm.schemas.records import RuleAggregate
    from parallelm.stream_processors.alerts.rules import SampleRule

IDLE_MS, LONGEST_IDLE_MS = 10_000, 60_000
"""A partition that has reported nothing for a window's length, within these bounds, by the broker's clock, is not waited for."""
MIN_LATENESS_MS = 1_000
MAX_WINDOWS = 500
"""Open windows of a group; beyond, the oldest are judged."""
MAX_BUCKETS = 20_000
"""Buckets of the sketches of a group's open windows; beyond, the oldest are judged."""


@dataclass(slots=True)
class Group:
    """What is remembered of one group of a rule over windows."""

    windows: dict[float, WindowSums] = field(default_factory=dict)
    newest: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Newest event time and broker's clock of the last part, by partition of the statistics that is waited for."""
    since_ms: int | None = None
    """Broker's clock at the first part until every partition has had time to report; None from then on."""
    heard_ms: int = 0
    """Broker's clock at the last part."""
    front_ms: float = -math.inf
    """Newest event time of all parts."""
    closed_ms: float = -math.inf
    """Windows that began before this are judged: what comes for them is too late."""
    series: Memory = field(default_factory=Memory)

    @classmethod
    def from_json(cls, stored: Any) -> Group:
        """Inverse of ``to_json``; a new group for None."""
        if stored is None:
            return cls()
        windows, newest, since_ms, heard_ms, front_ms, closed_ms, memory = stored
        return cls(
            {
                start: WindowSums(count, total, minimum, maximum, dict(sketch))
                for start, (count, total, minimum, maximum, sketch) in windows
            },
            {source: (at_ms, arrived_ms) for source, at_ms, arrived_ms in newest},
            since_ms,
            heard_ms,
            front_ms,
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
            [[source, *newest] for source, newest in sorted(self.newest.items())],
            self.since_ms,
            self.heard_ms,
            self.front_ms,
            self.closed_ms,
            self.series,
        ]


def absorb_part(stored: Any, rule: SampleRule, part: RuleAggregate, arrived_ms: int) -> Progress:
    """Group after a part of some windows."""
    return absorb_parts(stored, rule, (part,), arrived_ms)


def absorb_parts(stored: Any, rule: SampleRule, parts: Iterable[RuleAggregate], arrived_ms: int) -> Progress:
    """Group after parts that arrived together: none of them makes another one late."""
    group = Group.from_json(stored)
    if stored is None:
        group.since_ms = arrived_ms
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
            newest = max(float(part.event_time_ms), starts[-1], group.newest.get(source, (-math.inf, 0))[0])
            group.newest[source] = (newest, arrived_ms)
            group.front_ms = max(group.front_ms, newest)
            group.heard_ms = max(group.heard_ms, arrived_ms)
    return _judged(group, rule, _watermark_ms(group, rule), arrived_ms)


def on_time(stored: Any, rule: SampleRule, now_ms: int) -> Progress:
    """Group after the broker's clock has reached its time: partitions that report no more are not waited for."""
    group = Group.from_json(stored)
    silent_ms = _silent_ms(rule)
    if group.since_ms is not None and now_ms >= group.since_ms + silent_ms:
        group.since_ms = None
    if group.windows:
        group.newest = {
            source: newest for source, newest in group.newest.items() if now_ms < newest[1] + silent_ms
        }
    watermark_ms = _watermark_ms(group, rule)
    if group.windows and now_ms >= group.heard_ms + _idle_ms(rule):
        watermark_ms = math.inf
    progress = _judged(group, rule, watermark_ms, max(now_ms, group.heard_ms))
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
    return _judged(group, rule, math.inf, group.heard_ms)


def _watermark_ms(group: Group, rule: SampleRule) -> float:
    """Event time beyond which every partition that reports has gone."""
    if group.since_ms is not None:
        return -math.inf
    # When no partition reports any more, none is behind the one that was furthest.
    return min((at_ms for at_ms, _ in group.newest.values()), default=group.front_ms) - _lateness_ms(rule)


def _judged(group: Group, rule: SampleRule, watermark_ms: float, arrived_ms: int) -> Progress:
    """Judge the windows that end at or before the watermark, the oldest first."""
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    over = sorted(start for start in group.windows if start + aggregation.window_ms <= watermark_ms)
    over = sorted({*over, *_too_many(group)})
    changes: series.Changes = []
    for start in over:
        sums = group.windows.pop(start)
        value = sums.result(aggregation.function, aggregation.quantile)
        sample = (start + aggregation.window_ms, value)
        group.series = series.absorb(
            group.series, rule, (sample,), max(arrived_ms, int(sample[0])), -1, changes, _name(rule)
        )
        group.closed_ms = max(group.closed_ms, start + aggregation.window_ms)
    if over:
        group.series = group.series._replace(arrived_ms=arrived_ms)
    return Progress(group.to_json(), _due_ms(group, rule), [step for step, _ in changes])


def _too_many(group: Group) -> list[float]:
    """The oldest windows, as far as there is no room for them."""
    starts = sorted(group.windows)
    buckets = sum(len(sums.sketch) for sums in group.windows.values())
    found: list[float] = []
    for start in starts[:-1]:
        if len(starts) - len(found) <= MAX_WINDOWS and buckets <= MAX_BUCKETS:
            break
        buckets -= len(group.windows[start].sketch)
        found.append(start)
    return found


def _due_ms(group: Group, rule: SampleRule) -> float:
    if not group.windows:
        return series.due_ms(group.series._replace(held=()), rule.settings)
    waits_ms = [arrived_ms for _, arrived_ms in group.newest.values()]
    if group.since_ms is not None:
        waits_ms.append(group.since_ms)
    # With nobody to wait for, the windows that are left wait for late samples.
    idle_ms = min(waits_ms) + _silent_ms(rule) if waits_ms else group.heard_ms + _idle_ms(rule)
    if group.series.newest_ms == -math.inf:
        return idle_ms
    return min(idle_ms, series.due_ms(group.series._replace(held=()), rule.settings))


def _lateness_ms(rule: SampleRule) -> float:
    """How far beyond a window its partitions must be, in event time."""
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    return max(rule.settings.grace_ms, min(MIN_LATENESS_MS, aggregation.window_ms))


def _silent_ms(rule: SampleRule) -> float:
    """How long a partition may report nothing, by the broker's clock, before it is not waited for."""
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    return max(IDLE_MS, min(aggregation.window_ms, LONGEST_IDLE_MS))


def _idle_ms(rule: SampleRule) -> float:
    """How long after its last part an open window is judged, by the broker's clock."""
    return max(_silent_ms(rule), rule.settings.grace_ms)


def _name(rule: SampleRule) -> str:
    aggregation = rule.settings.aggregation
    assert aggregation is not None  # noqa: S101 - a rule over windows has one
    what = aggregation.function
    if what == "quantile":
        what = f"{aggregation.quantile:g} quantile"
    return f"{what} of {rule.settings.matching.statistic or 'the statistics'}"
