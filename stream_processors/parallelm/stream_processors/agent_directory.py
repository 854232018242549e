"""Which agents there are: topics ``agents`` and ``heartbeats``, read beside the work and never waited for after the start.

What it knows is advisory: runs are placed by it, and exactness is the scheduler's own (``scheduling``).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.records import AgentState, Heartbeat
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import AGENTS, HEARTBEATS
from parallelm.stream_processors.scheduling.agents import SILENT_MS, Agents, AgentView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.connections import Settings
    from parallelm.schemas.codec import Codec

logger = logging.getLogger(__name__)

_POLL_S = 0.2
_BATCH = 500
_START_S = 5.0
_PAUSE_S = 1.0
_STALE_S = 30.0
"""After so long without a look at the topics every agent would seem to be silent."""
_REMOVED = "removed"
"""State of an agent that a person has removed; its name and epoch stay on the topic."""
_LOOK_AGAIN_MS = 100
"""Every MLApp asks how agents are, and there may be a thousand of both: who has become silent is found out this often."""
_LOOK_BACK_MS = 600_000
"""Heartbeats that are read at the start: clocks of hosts and brokers need not agree."""


@dataclass(slots=True)
class _Known:
    """One agent."""

    record: AgentState
    heard_ms: int
    state: str
    runs: int


class KnownAgents:
    """What the records say, as ``Agents``. Written by one thread, and read by others."""

    def __init__(self, generation: int = 0) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._early: dict[str, tuple[Heartbeat, int]] = {}
        """Newest heartbeats of agents whose registration comes on another topic."""
        self._placed: Counter[str] = Counter()
        self._views: dict[str, AgentView] = {}
        self._viewed_ms: int | None = None
        """Time of the views; None: something has changed since then."""
        self._generation = generation

    def registered(self, agent_id: str, record: AgentState | None, arrived_ms: int) -> None:
        """An agent has told its state, or was removed."""
        with self._lock:
            self._viewed_ms = None
            if record is None or record.state == _REMOVED:
                self._known.pop(agent_id, None)
                self._early.pop(agent_id, None)
                return
            known = self._known.get(agent_id)
            if known is not None and record.epoch < known.record.epoch:
                return
            running = sum(each.state in {"starting", "running"} for each in record.pipelines)
            self._known[agent_id] = _Known(record, arrived_ms, record.state, running)
            self._placed.pop(agent_id, None)
            early = self._early.pop(agent_id, None)
        if early is not None:
            self.heard(*early)

    def heard(self, beat: Heartbeat, arrived_ms: int) -> None:
        """An agent is alive."""
        with self._lock:
            known = self._known.get(beat.agent_id)
            if known is None:
                self._early[beat.agent_id] = (beat, arrived_ms)
                return
            if beat.epoch != known.record.epoch or arrived_ms < known.heard_ms:
                return
            if beat.state != known.state or arrived_ms - known.heard_ms > SILENT_MS:
                self._viewed_ms = None
            known.heard_ms, known.state, known.runs = arrived_ms, beat.state, beat.runs
            self._placed.pop(beat.agent_id, None)
            view = self._views.get(beat.agent_id)
            if view is not None and view.runs != beat.runs:
                self._views[beat.agent_id] = replace(view, runs=beat.runs)

    def view(self, now_ms: int) -> Agents:
        """Every agent, as of now by the broker's clock, or of a moment before."""
        with self._lock:
            if self._viewed_ms is None or not 0 <= now_ms - self._viewed_ms < _LOOK_AGAIN_MS:
                views = {name: _view(known, now_ms) for name, known in self._known.items()}
                if _looks(views) != _looks(self._views):
                    self._generation += 1
                self._views, self._viewed_ms = views, now_ms
            return Agents(self._views, self._placed, self._generation)


def _view(known: _Known, now_ms: int) -> AgentView:
    record = known.record
    return AgentView(
        agent_id=record.agent_id,
        epoch=record.epoch,
        labels=record.labels,
        state=known.state,
        heard_of=known.state != "ended" and now_ms - known.heard_ms <= SILENT_MS,
        runs=known.runs,
        cpus=record.cpus,
        memory_bytes=record.memory_bytes,
        runners=tuple(record.runners) or ("process",),
    )


def _looks(views: Mapping[str, AgentView]) -> list[tuple[object, ...]]:
    """What runs are judged by: all but the load."""
    return sorted(
        (
            name, view.epoch, view.state, view.heard_of, sorted(view.labels.items()), view.cpus, view.memory_bytes,
            view.runners,
        )
        for name, view in views.items()
    )  # fmt: skip


class AgentDirectory:
    """Reads both topics in a daemon thread of its own, the heartbeats of the last moments only."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        prefix = settings.kafka.topic_prefix
        self._agents, self._heartbeats = AGENTS.full_name(prefix), HEARTBEATS.full_name(prefix)
        self._known = KnownAgents()
        self._is_read = threading.Event()
        self._stop = threading.Event()
        self._error = "nothing was read yet"
        self._looked_s = 0.0
        """When it was last looked for records, while all that there had been was read."""
        self._thread: threading.Thread | None = None

    async def ready(self) -> None:
        """Wait until what there was at the start is read; raises ``ClusterUnavailableError`` while it is not."""
        if self._thread is None or not self._thread.is_alive():
            self._is_read.clear()
            self._thread = threading.Thread(target=self._read, name="agent-directory", daemon=True)
            self._thread.start()
        if self._is_read.is_set():
            if (late_s := time.monotonic() - self._looked_s) > _STALE_S:
                raise ClusterUnavailableError(
                    f"topics {self._agents!r} and {self._heartbeats!r}: not read for {late_s:.0f} s ({self._error})"
                )
            return
        deadline = time.monotonic() + _START_S
        while not self._is_read.is_set():
            if time.monotonic() > deadline:
                raise ClusterUnavailableError(
                    f"topics {self._agents!r} and {self._heartbeats!r}: {self._error}"
                )
            await asyncio.sleep(0.02)

    def view(self, now_ms: int) -> Agents:
        """Every agent, as of now by the broker's clock."""
        return self._known.view(now_ms)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _PAUSE_S)

    def _read(self) -> None:
        from confluent_kafka import Consumer, KafkaException

        while not self._stop.is_set():
            consumer = Consumer(reader_config(self._settings.kafka, "mcenter-agents"))
            try:
                self._follow(consumer)
            except (KafkaException, ClusterUnavailableError) as error:
                self._error = str(error)
                logger.warning("agents cannot be read: %s; trying again", error)
                self._stop.wait(_PAUSE_S)
            except Exception as error:
                self._error = f"{type(error).__name__}: {error}"
                logger.exception("agents cannot be read; trying again")
                self._stop.wait(_PAUSE_S)
            finally:
                consumer.close()

    def _follow(self, consumer: Any) -> None:
        known = KnownAgents(self._known.view(0).generation + 1)
        unread = self._assign(consumer)
        while not self._stop.is_set():
            for message in consumer.consume(_BATCH, _POLL_S):
                place = message.topic(), message.partition()
                if message.error() is None:
                    self._absorb(known, message)
                    if message.offset() + 1 >= unread.get(place, 0):
                        unread.pop(place, None)
                elif message.error().name() == "_PARTITION_EOF":
                    unread.pop(place, None)
                elif message.error().fatal() or not message.error().retriable():
                    logger.warning("agents: %s", message.error().str())
            if not unread:  # not earlier: agents would seem to have gone
                self._known = known
                self._looked_s = time.monotonic()
                self._is_read.set()

    def _assign(self, consumer: Any) -> dict[tuple[str, int], int]:
        """Ends of the partitions that have something to read."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        since_ms = time.time_ns() // 1_000_000 - _LOOK_BACK_MS
        found: list[Any] = []
        for topic in (self._agents, self._heartbeats):
            metadata = consumer.list_topics(topic, timeout=_START_S).topics[topic]
            if metadata.error is not None or not metadata.partitions:
                raise ClusterUnavailableError(
                    f"there is no topic {topic!r}; create it with `mcenter topics create`"
                )
            start = OFFSET_BEGINNING if topic == self._agents else since_ms
            found += [TopicPartition(topic, number, start) for number in metadata.partitions]
        beats = [place for place in found if place.topic == self._heartbeats]
        starts = [place for place in found if place.topic == self._agents]
        starts += consumer.offsets_for_times(beats, timeout=_START_S)
        unread = {}
        for place in starts:
            low, end = consumer.get_watermark_offsets(place, timeout=_START_S)
            if place.offset == OFFSET_BEGINNING:
                place.offset = low
            elif place.offset < 0:  # no heartbeat is as new
                place.offset = end
            if place.offset < end:
                unread[place.topic, place.partition] = end
        consumer.assign(starts)
        return unread

    def _absorb(self, known: KnownAgents, message: Any) -> None:
        _, arrived_ms = message.timestamp()
        decode: Callable[[bytes, type], Any] = self._codec.decode
        try:
            value = message.value()
            if message.topic() == self._heartbeats:
                if value is not None:
                    known.heard(decode(value, Heartbeat), arrived_ms)
                return
            record = None if value is None else decode(value, AgentState)
            known.registered((message.key() or b"").decode(errors="replace"), record, arrived_ms)
        except Exception as error:  # noqa: BLE001 - one record must not hide every agent
            place = f"{message.topic()}/{message.partition()}@{message.offset()}"
            logger.warning("%s: %s: %s", place, type(error).__name__, error)
