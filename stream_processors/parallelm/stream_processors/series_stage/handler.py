"""Judges statistics where they arrive, and sends on what their MLApp must know."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.layouts import LayoutReader, unequal_counts
from parallelm.schemas.topics import STRUCTURED_STATISTICS
from parallelm.stream_processors.alerts import series as judging
from parallelm.stream_processors.alerts.lifecycle import Life, end
from parallelm.stream_processors.alerts.reports import Reports
from parallelm.stream_processors.alerts.rules import SampleRule
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key
from parallelm.stream_processors.series_stage.lookup import slot_of, watchers_of
from parallelm.stream_processors.series_stage.pages import NOT_APPLIED, PAGE, Origin, Page, PageBody
from parallelm.stream_processors.series_stage.structured import StructuredStatistics
from parallelm.stream_processors.series_stage.travelling import Travelling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.schemas.layouts import CutRecord
    from parallelm.schemas.slicing import SlicedSeries
    from parallelm.stream_processors.alerts.series import Changes, Memory
    from parallelm.stream_processors.current_rules import CurrentRules, MLAppRules
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.dead_letters import DeadLetters
    from parallelm.stream_processors.runtime.stored_state import StateStore
    from parallelm.stream_processors.runtime.transactions import Output
    from parallelm.stream_processors.series_stage.lookup import Watchers
    from parallelm.stream_processors.series_stage.pages import OriginIds, Seen, Slot

REFRESH_INTERVAL_S = 5.0
"""How often rules are asked for while no statistics come."""

MAX_ORIGINS_LOOKED_UP = 50_000
"""Origins found by their bytes at most, those without watched series among them."""

MAX_ORIGIN_BYTES = 10_000
"""Texts of an origin: they are in the key of what is remembered, too."""

OriginKey = tuple[bytes, ...]


class SeriesHandler:
    """One shard's series: looked up by origin, judged in memory, written to the store as pages at the end of a batch."""

    kinds: Mapping[str, BodyKind] = {PAGE: BodyKind(PageBody)}

    def __init__(
        self,
        codec: Codec,
        prefix: str,
        rules: CurrentRules,
        letters: DeadLetters,
        reader: LayoutReader | None = None,
    ) -> None:
        # What a reader remembers takes memory: the shards of a process share one.
        self._reader = reader or LayoutReader(codec.registry)
        self._rules = rules
        self._letters = letters
        self._travelling = Travelling(codec, prefix)
        self._structured = StructuredStatistics(codec, rules, self._travelling)
        self._structured_topic = STRUCTURED_STATISTICS.full_name(prefix)
        self._origins: dict[OriginIds, Origin] = {}
        self._by_bytes: dict[OriginKey, Origin] = {}
        self._dirty: dict[Page, None] = {}
        self._ends: list[Output] = []
        self._store: StateStore | None = None
        self._generation = -1
        self._refreshed_at = 0.0
        self._place: tuple[str, int] | None = None
        """Topic and partition of the statistics: all of a shard are of one."""

    def opened(self, store: StateStore) -> None:
        """The state was loaded: what was remembered before is not valid."""
        self._store = store
        self._generation = -1
        self._refreshed_at = 0.0
        self._origins.clear()
        self._by_bytes.clear()
        self._dirty.clear()
        self._ends.clear()
        self._travelling.discard()

    async def prepare(self, records: Sequence[Incoming]) -> None:
        """Know every definition that was applied before."""
        now = time.monotonic()
        if not records and now - self._refreshed_at < REFRESH_INTERVAL_S:
            return
        await self._rules.refresh()
        self._refreshed_at = now
        if self._generation == -1:
            self._load()
        if self._generation != self._rules.generation:
            self._generation = self._rules.generation
            self._take_definitions()

    def handle(self, store: StateStore, record: Incoming) -> Iterator[Output]:  # noqa: ARG002 - pages go to it at the end
        """Judge one record; what travels on is sent at the end of the batch, but for changes of state."""
        if record.value is None:
            raise DecodeError(f"a tombstone has no meaning on topic {record.topic}")
        if record.topic == self._structured_topic:
            yield from self._structured.handle(record)
            self._letters.handled()
            return
        self._place = record.topic, record.partition
        cut = self._reader.read(record.value, record.key)
        rules = self._rules.of(cut.contents.head[0].decode())
        if rules is not None and rules.watches_series:
            yield from self._judge(cut, rules, record)
        self._letters.handled()

    def on_time(self, store: StateStore, now_ms: int) -> Iterator[Output]:
        """Series that have stopped, and samples that have waited long enough."""
        for key, body in store.due(now_ms):
            origin = self._origins.get(_ids(body.origin))
            page = next((page for page in origin.pages if page.name == key.name), None) if origin else None
            if origin is None or page is None:
                continue
            self._dirty[page] = None
            for slot_key, slot in list(page.slots.items()):
                changes: Changes = []
                after = judging.on_time(slot.memory, slot.rule, now_ms, changes, slot.statistic)
                yield from self._travelling.steps(slot, changes, self._place)
                if after is None:
                    origin.remove(slot_key)
                else:
                    slot.memory = after

    def finish(self, store: StateStore) -> Iterator[Output]:
        """Put what has changed into the store, and send what was gathered over the batch."""
        for page in self._dirty:
            store.put(Key(PAGE, page.origin.ids[0], page.name), page.body())
        self._forget_empty_origins()
        self._dirty.clear()
        yield from sorted(self._ends)  # in one order, also after a restart
        self._ends.clear()
        if len(self._by_bytes) > MAX_ORIGINS_LOOKED_UP:
            self._by_bytes.clear()
            self._origins = {ids: origin for ids, origin in self._origins.items() if origin.slots}
        yield from self._travelling.gathered()

    # ---- judging ------------------------------------------------------------------------------------------------

    def _judge(self, cut: CutRecord, rules: MLAppRules, record: Incoming) -> Iterator[Output]:
        contents = cut.contents
        if contents.counts != contents.value_counts:
            raise InvalidRecordError(unequal_counts(contents))
        found: list[tuple[Watchers, SlicedSeries, Sequence[tuple[float, float]]]] = []
        origin = self._origin(contents.head)
        undo: list[tuple[Slot, Memory]] = []
        outputs: list[Output] = []
        reports = Reports()
        try:
            for series, times_ms, values in zip(contents.series, cut.timestamps_ms, cut.values, strict=True):
                watchers = watchers_of(origin, rules, series)
                if not watchers:
                    continue
                samples = _samples(times_ms, values)
                for slot in watchers.slots:
                    undo.append((slot, slot.memory))
                    outputs += self._absorb(slot, samples, record)
                for report in watchers.reports:
                    name, model_id = series.name.decode(), series.model_id.decode()
                    reports.add(report, name, model_id, samples, record.arrived_ms)
                if watchers.travels:
                    found.append((watchers, series, samples))
            outputs += self._judge_reports(origin, reports, record, undo)
        except Exception:
            for slot, memory in reversed(undo):
                slot.memory = memory
            raise
        for (
            watchers,
            series,
            samples,
        ) in found:  # after all that may raise: a record is judged whole or not at all
            self._travelling.gather(origin, watchers, series, samples, record)
        return iter(outputs)

    def _absorb(
        self, slot: Slot, samples: Sequence[tuple[float, float]], record: Incoming
    ) -> Sequence[Output]:
        changes: Changes = []
        before = slot.memory
        rule = slot.rule
        assert isinstance(rule, SampleRule)  # noqa: S101 - only such rules have slots of single series
        slot.memory = judging.absorb(
            before, rule, samples, record.arrived_ms, record.offset, changes, slot.statistic
        )
        if slot.memory is not before:
            self._dirty[slot.page] = None
        return list(self._travelling.steps(slot, changes, self._place)) if changes else ()

    def _judge_reports(
        self, origin: Origin, reports: Reports, record: Incoming, undo: list[tuple[Slot, Memory]]
    ) -> Iterator[Output]:
        for found in reports.judged():
            slot = slot_of(origin, found.rule, found.model_id, found.labels, found.statistic)
            undo.append((slot, slot.memory))
            changes: Changes = []
            slot.memory = judging.absorb_judged(
                slot.memory, found.rule.settings, found.judged, record.arrived_ms, record.offset, changes
            )
            self._dirty[slot.page] = None
            yield from self._travelling.steps(slot, changes, self._place)

    def _origin(self, head: tuple[bytes, ...]) -> Origin:
        key = head[:4]
        origin = self._by_bytes.get(key)
        if origin is None:
            if sum(map(len, key)) > MAX_ORIGIN_BYTES:
                raise InvalidRecordError(
                    f"the ids of its origin have {sum(map(len, key))} bytes; at most {MAX_ORIGIN_BYTES} are judged"
                )
            mlapp_id, node_id, pipeline, agent_id = (text.decode() for text in key)
            ids = (mlapp_id, node_id, pipeline, agent_id)
            origin = self._by_bytes[key] = self._origins.setdefault(ids, Origin(ids))
        if origin.generation != self._generation:
            if not origin.slots:
                origin.applied = _applied(self._rules.of(origin.ids[0]))
            origin.found.clear()
            origin.generation = self._generation
        return origin

    # ---- rules --------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Take the stored pages, now that the rules are known."""
        assert self._store is not None  # noqa: S101 - opened before
        for key, body in self._store.all_of(PAGE):
            ids = _ids(body.origin)
            origin = self._origins.setdefault(ids, Origin(ids))
            rules = self._rules.of(key.mlapp_id)
            by_form = {rule.settings.form: rule for rule in rules.of_series} if rules is not None else {}
            page, left = origin.load(key.name, body, by_form)
            for seen, memory in left:
                self._dirty[page] = None
                self._end(seen, memory, "the rule was taken out of the definition for a time")

    def _take_definitions(self) -> None:
        """Forget the series of rules that are gone."""
        for ids, origin in self._origins.items():
            rules = self._rules.of(ids[0])
            for slot_key in origin.of_rules_gone(rules.by_form if rules is not None else ()):
                slot = origin.slots[slot_key]
                self._end(slot.seen(), slot.memory, "the rule was taken out of the definition for a time")
                origin.remove(slot_key)
                self._dirty[slot.page] = None
            applied = _applied(rules)
            if origin.applied != applied:
                self._take_definition(origin, applied)

    def _take_definition(self, origin: Origin, applied: tuple[int, int]) -> None:
        """Series whose rules stay as they were go on, unless a definition between was missed: it may have ended their alerts."""
        missed = origin.applied != NOT_APPLIED and applied[0] != origin.applied[0] + 1
        origin.applied = applied
        self._dirty |= dict.fromkeys(origin.pages)
        for slot in origin.slots.values() if missed else ():
            if slot.memory.life.is_open:
                self._end(
                    slot.seen(), slot.memory, "the definition was changed again before this was judged by it"
                )
                slot.memory = slot.memory._replace(life=Life(begins=slot.memory.life.begins))

    def _end(self, seen: Seen, memory: Memory, reason: str) -> None:
        """End the alert of a series that begins anew.

        Where the rule came back as it was before the MLApp's stage saw it gone, nobody else would.
        """
        for step in end(memory.life, memory.newest_ms, reason)[1]:
            self._ends.append(self._travelling.step(seen, "", step))

    def _forget_empty_origins(self) -> None:
        emptied = {page.origin.ids for page in self._dirty if not page.slots}
        gone = {ids for ids in emptied if not self._origins[ids].slots}
        for ids in gone:
            del self._origins[ids]
        if gone:
            self._by_bytes = {key: found for key, found in self._by_bytes.items() if found.ids not in gone}


def _applied(rules: MLAppRules | None) -> tuple[int, int]:
    return NOT_APPLIED if rules is None else (rules.definition.version, rules.definition.event_time_ms)


def _samples(times_ms: bytes, values: bytes) -> Sequence[tuple[float, float]]:
    count = len(values) // 8
    if count == 1:
        return ((_ONE.unpack(times_ms)[0], _ONE.unpack(values)[0]),)
    form = f"<{count}d"
    return tuple(zip(struct.unpack(form, times_ms), struct.unpack(form, values), strict=True))


_ONE = struct.Struct("<d")


def _ids(stored: Sequence[str]) -> OriginIds:
    mlapp_id, node_id, pipeline, agent_id = stored
    return mlapp_id, node_id, pipeline, agent_id
