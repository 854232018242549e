"""``kpi``: a business KPI must not go above, or below, a number; late and revised points are judged again.

The points of a group are remembered as far back as there is room. Whatever arrives, its history is judged from there on, and
what differs from what was sent is corrected.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import AlertState, KpiBatch
from parallelm.schemas.times import is_time
from parallelm.stream_processors.alerts import series
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.alerts.history import Held, corrections
from parallelm.stream_processors.alerts.lifecycle import end
from parallelm.stream_processors.alerts.rules import MLAppRule, Observation, Progress
from parallelm.stream_processors.alerts.rules.threshold import ThresholdRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from parallelm.schemas.records import KpiPoint
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rule import RuleSettings
    from parallelm.stream_processors.alerts.series import Changes, Memory

MAX_POINTS = 500
"""Points of a group that can still be revised. Beyond, the buckets of the oldest are final."""
MAX_SENT = 1_000
"""Steps of a group that can still be corrected."""
SETTLE_MS = 10_000
"""How long after its last point the newest window is judged, when it is over."""
_FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "count": len,
}


class Point(NamedTuple):
    """One point as it was reported last."""

    bucket_ms: int
    """Time by which it is judged: its own, or the end of its window."""
    at_ms: int
    series: int
    """Checksum of its labels."""
    value: float


class Group(NamedTuple):
    """What is remembered of one group."""

    points: list[Point]
    base: Memory
    """As of the buckets that are final."""
    final_ms: float
    """Buckets up to here are final: what comes for them changes nothing."""
    judged_ms: float
    """Newest bucket that was judged."""
    arrived_ms: int
    sent: list[Held]
    """Steps after the final ones that were sent and hold."""

    @classmethod
    def from_json(cls, stored: Any) -> Group:
        """Inverse of JSON, which knows neither tuples nor states."""
        if stored is None:
            return cls([], series.Memory(), -math.inf, -math.inf, 0, [])
        points, base, final_ms, judged_ms, arrived_ms, sent = stored
        return cls(
            [Point(*point) for point in points],
            series.Memory.from_json(base),
            final_ms,
            judged_ms,
            arrived_ms,
            [Held(AlertState(state), at_ms, started_ms) for state, at_ms, started_ms in sent],
        )


class KpiRule(MLAppRule, type_name="kpi"):
    """Remembers points, and what was sent."""

    records: ClassVar[tuple[type, ...]] = (KpiBatch,)
    revises: ClassVar[bool] = True

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._threshold = ThresholdRule(settings, parameters)
        self._function: str | None = parameters.get("function")
        self._bucket_ms = int(parameters.get("bucket_ms", 0))
        self._apart: list[str] | None = parameters.get("labels_apart")
        self._stale_ms = int(parameters["stale_after_ms"])
        name = settings.matching.statistic
        self._name = f"{self._function} of {name}" if self._function else name

    def observe(self, record: KpiBatch) -> Iterator[Observation]:
        """The batch's points, by group."""
        matching = self.settings.matching
        if not matching.node_matches(record.origin.node_id):
            return
        found: dict[str, list[list[float | None]]] = defaultdict(list)
        models: dict[str, str] = {}
        for point in record.points:
            if (
                point.name == matching.statistic
                and matching.labels_match(point.labels)
                and is_time(point.timestamp_ms)
                and (point.withdrawn or point.value == point.value)
            ):
                group = json.dumps(self._group(point), sort_keys=True)
                whole = zlib.crc32(json.dumps(dict(point.labels), sort_keys=True).encode())
                found[group].append([point.timestamp_ms, whole, None if point.withdrawn else point.value])
                models[group] = point.model_id
        for group, points in found.items():
            yield Observation(json.loads(group), points, matching.statistic, models[group])

    def absorb(self, memory: Any, payload: Any, arrived_ms: int) -> Progress:
        """A group after points: new ones, revisions, and withdrawn ones, whose value is None."""
        group = Group.from_json(memory)
        known = {(point.at_ms, point.series): point for point in group.points}
        for event_ms, whole, value in payload:
            at_ms = int(judged_at(event_ms, arrived_ms))
            if self._bucket_of(at_ms) <= group.final_ms:
                continue
            if value is None:
                known.pop((at_ms, whole), None)
            else:
                known[at_ms, whole] = Point(self._bucket_of(at_ms), at_ms, whole, value)
        points = sorted(known.values())
        if not points and not group.points:
            return self._progress(group)
        judged_ms = max(group.judged_ms, self._newest_over(points) if points else -math.inf)
        return self._judged(
            group._replace(points=points, judged_ms=judged_ms, arrived_ms=max(arrived_ms, group.arrived_ms))
        )

    def on_time(self, memory: Any, now_ms: int) -> Progress:
        """A group whose newest window is over, or whose points have stopped."""
        group = Group.from_json(memory)
        if self._waits(group) and now_ms >= self._settled_ms(group):
            group = group._replace(judged_ms=group.points[-1].bucket_ms)
            progress = self._judged(group)
        else:
            progress = self._progress(group)
        group = Group.from_json(progress.memory)
        if now_ms < group.arrived_ms + self._stale_ms:
            return progress
        changes: Changes = []
        life = self._replayed(group, changes).life
        at_ms = max(group.judged_ms, life.started_ms) + self._stale_ms
        _, steps = end(life, at_ms, f"no point for {format_duration(self._stale_ms)}")
        return Progress(None, None, [*progress.steps, *steps])

    # ---- judging ------------------------------------------------------------------------------------------------

    def _judged(self, group: Group) -> Progress:
        changes: Changes = []
        self._replayed(group, changes)
        steps = [step for step, _ in changes]
        new, sent = corrections(group.sent, steps)
        return self._progress(self._forget(group._replace(sent=sent[-MAX_SENT:])), new)

    def _replayed(self, group: Group, changes: Changes) -> Memory:
        """Memory after all buckets that are over, and the steps on the way."""
        return self._absorbed(group, group.base, group.judged_ms, changes)

    def _absorbed(self, group: Group, base: Memory, until_ms: float, changes: Changes) -> Memory:
        buckets: dict[int, list[float]] = defaultdict(list)
        for point in group.points:
            if point.bucket_ms <= until_ms:
                buckets[point.bucket_ms].append(point.value)
        function = _FUNCTIONS[self._function] if self._function else _last
        samples = [(float(at_ms), float(function(values))) for at_ms, values in buckets.items()]
        # The points have been compared with the broker's clock; a window may end after it.
        arrived_ms = max([group.arrived_ms, *(int(at_ms) for at_ms, _ in samples)])
        return series.absorb(base, self._threshold, samples, arrived_ms, -1, changes, self._name)

    def _forget(self, group: Group) -> Group:
        """Make the oldest buckets final while there are too many points."""
        if len(group.points) <= MAX_POINTS:
            return group
        final_ms = group.points[-MAX_POINTS - 1].bucket_ms
        if final_ms > group.judged_ms:
            return group._replace(
                points=group.points[:MAX_POINTS]
            )  # a window with too many: judged by its first
        base = self._absorbed(group, group.base, final_ms, [])
        return group._replace(
            base=base._replace(arrived_ms=0),
            final_ms=final_ms,
            points=[point for point in group.points if point.bucket_ms > final_ms],
            sent=[each for each in group.sent if each.at_ms > final_ms],
        )

    # ---- buckets ------------------------------------------------------------------------------------------------

    def _group(self, point: KpiPoint) -> dict[str, str]:
        if self._function is None:
            return dict(point.labels)
        return {key: point.labels[key] for key in self._apart or () if key in point.labels}

    def _bucket_of(self, at_ms: int) -> int:
        return at_ms - at_ms % self._bucket_ms + self._bucket_ms if self._bucket_ms else at_ms

    def _newest_over(self, points: Sequence[Point]) -> float:
        """Newest bucket after which another one has begun; a single point is a bucket."""
        newest = points[-1].bucket_ms
        if not self._bucket_ms:
            return newest
        return max((point.bucket_ms for point in points if point.bucket_ms < newest), default=-math.inf)

    def _waits(self, group: Group) -> bool:
        return bool(group.points) and group.points[-1].bucket_ms > group.judged_ms

    def _settled_ms(self, group: Group) -> float:
        return max(group.points[-1].bucket_ms, group.arrived_ms + SETTLE_MS)

    def _progress(self, group: Group, steps: Sequence[Step] = ()) -> Progress:
        due_ms: float = group.arrived_ms + self._stale_ms
        if self._waits(group):
            due_ms = min(due_ms, self._settled_ms(group))
        return Progress(list(group), due_ms, steps)


def _last(values: Sequence[float]) -> float:
    return values[-1]
