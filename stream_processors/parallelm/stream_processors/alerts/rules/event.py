"""``event``: no more than so many events of a kind within a window of event time."""

from __future__ import annotations

import re
import zlib
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from parallelm.definitions.durations import approximate_duration, format_duration
from parallelm.schemas.records import AlertState, Event
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.alerts.lifecycle import CALM, Life, Step, advance, end
from parallelm.stream_processors.alerts.rules import MLAppRule, Observation, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.stream_processors.alerts.rule import RuleSettings

PARTS = 60
"""A window is counted in so many parts: it is right to one of them."""
MAX_IDS = 500
"""Ids of the last events of a group: one that is sent again counts once."""


class Occurrence(NamedTuple):
    """One event."""

    at_ms: int
    event_id: int
    """Checksum of its id."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is remembered of one group; times are event time but for ``arrived_ms``."""

    newest_ms: int = 0
    arrived_ms: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    """Events by number of the part; JSON's keys are texts."""
    ids: list[int] = field(default_factory=list)
    life: Life = CALM

    @classmethod
    def from_json(cls, stored: Any) -> Counted:
        """Inverse of JSON, which knows neither tuples nor states."""
        if stored is None:
            return cls()
        newest_ms, arrived_ms, counts, ids, (state, started_ms, last_breach_ms, begins) = stored
        life = Life(AlertState(state), started_ms, last_breach_ms, tuple(begins))
        return cls(newest_ms, arrived_ms, counts, ids, life)


class EventRule(MLAppRule, type_name="event"):
    """Remembers counts of the parts of a window."""

    records: ClassVar[tuple[type, ...]] = (Event,)

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._by: list[str] = parameters["by"]
        self._window_ms = int(parameters["window_ms"])
        self._part_ms = max(self._window_ms // PARTS, 1)
        self._above = int(parameters["above"])
        self._title: str | None = parameters.get("title")
        title_pattern = parameters.get("title_pattern")
        self._title_pattern = re.compile(title_pattern) if title_pattern else None

    def observe(self, record: Event) -> Iterator[Observation]:
        """The event, in its group."""
        matching, origin = self.settings.matching, record.origin
        place = {"node": origin.node_id, "agent": origin.agent_id, "pipeline": origin.pipeline_instance_id}
        known = dict(record.labels) | place
        if (
            not matching.statistic_matches(record.type)
            or not matching.node_matches(origin.node_id)
            or not matching.labels_match(known)
            or not self._title_matches(record.title)
        ):
            return
        known |= {"event": record.type, "title": record.title}
        labels = {key: known[key] for key in self._by if key in known}
        occurrence = Occurrence(record.event_time_ms, zlib.crc32(record.event_id.encode()))
        yield Observation(labels, occurrence, self._name)

    def absorb(self, memory: Any, payload: Any, arrived_ms: int) -> Progress:
        """A group with one more event. One from before the window changes nothing."""
        counted, (event_ms, event_id) = Counted.from_json(memory), payload
        at_ms = int(judged_at(event_ms, arrived_ms))
        newest_ms = max(at_ms, counted.newest_ms) if memory is not None else at_ms
        first = newest_ms // self._part_ms - self._window_ms // self._part_ms + 1
        if event_id in counted.ids or at_ms // self._part_ms < first:
            return self._progress(counted)
        counts = {part: count for part, count in counted.counts.items() if int(part) >= first}
        part = str(at_ms // self._part_ms)
        counts[part] = counts.get(part, 0) + 1
        count = sum(counts.values())
        timing = self.settings.timing
        life, steps = advance(
            counted.life, newest_ms, count, timing, breached=count > self._above, interrupted=False
        )
        counted = Counted(newest_ms, arrived_ms, counts, [*counted.ids, event_id][-MAX_IDS:], life)
        return self._progress(counted, [self._explained(step) for step in steps])

    def on_time(self, memory: Any, now_ms: int) -> Progress:
        """A group without events for a window: it is over, and forgotten."""
        counted = Counted.from_json(memory)
        quiet_ms = self._quiet_ms(counted)
        if now_ms < counted.arrived_ms + quiet_ms:
            return self._progress(counted)
        reason = f"no event {self._name!r} for {approximate_duration(quiet_ms)}"
        _, steps = end(counted.life, counted.newest_ms + quiet_ms, reason)
        return Progress(
            None, None, [step._replace(value=0.0, threshold=float(self._above)) for step in steps]
        )

    @property
    def _name(self) -> str:
        pattern = self.settings.matching.statistic_pattern
        return self.settings.matching.statistic or (pattern.pattern if pattern is not None else "")

    def _title_matches(self, title: str) -> bool:
        if self._title_pattern is not None:
            return self._title_pattern.fullmatch(title) is not None
        return self._title in {None, title}

    def _explained(self, step: Step) -> Step:
        over = step.state in {AlertState.RESOLVED, AlertState.INACTIVE}
        limit = f"no longer more than {self._above}" if over else f"more than {self._above}"
        window = format_duration(self._window_ms)
        reason = step.reason or f"{step.value:g} events {self._name!r} within {window}, {limit}"
        if step.state is AlertState.PENDING:
            reason += f"; fires when this lasts {format_duration(self.settings.timing.for_ms)}"
        return step._replace(threshold=float(self._above), reason=reason)

    def _quiet_ms(self, counted: Counted) -> int:
        firing = counted.life.state is AlertState.FIRING
        return self._window_ms + (int(self.settings.timing.keep_firing_for_ms) if firing else 0)

    def _progress(self, counted: Counted, steps: list[Step] | None = None) -> Progress:
        due_ms = counted.arrived_ms + self._quiet_ms(counted)
        return Progress(list(astuple(replace(counted))), due_ms, steps or ())
