"""The sink's loop: collect for a moment, then deliver a block of each partition."""

from __future__ import annotations

import logging
import time
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, TopicPartition

from parallelm.connections.shards import ShardMap
from parallelm.schemas.dead_letters import concerns
from parallelm.schemas.registry import make_registry
from parallelm.schemas.well_known import SINK_GROUP
from parallelm.sinks.backoff import Backoff
from parallelm.sinks.blocks import ConsumedRecord, flush_interval_s
from parallelm.sinks.consumer import (
    TopicAdmin,
    committed_positions,
    is_fenced,
    make_consumer,
)
from parallelm.sinks.dead_letters import DeadLetterCounter, DeadLetterProducer
from parallelm.sinks.delivery import Delivery
from parallelm.sinks.errors import (
    DatabaseUnavailableError,
    FencedError,
    InsertRefusedError,
    InsertStateUnknownError,
    NotReadyError,
    RetryLaterError,
    SinkError,
)
from parallelm.sinks.lag import lag_of
from parallelm.sinks.refused_blocks import RefusedBlocks
from parallelm.sinks.room import has_enough, is_full, to_pause
from parallelm.sinks.rows import Source
from parallelm.sinks.stopped import STALLED_S, StoppedTopics
from parallelm.sinks.tables import row_maker
from parallelm.sinks.takeover import Takeover
from parallelm.sinks.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.connections import Settings
    from parallelm.sinks.metrics import SinkMetrics
    from parallelm.sinks.options import SinkOptions, Stop
    from parallelm.sinks.partition import PartitionWork
    from parallelm.sinks.rows import RowMaker

_LOG = logging.getLogger(__name__)

_WAIT_FOR_INSERTS_S = 0.01
_WAIT_WHEN_FULL_S = 0.25
_MESSAGES_A_CALL = 256
_LAG_INTERVAL_S = 1.0
_PATIENT_SHARE = 0.1
"""Of the limit for retries: for so long one record may lack the server's memory before it is a dead letter."""
HANGS_S = 60.0
"""A loop that has not polled for so long hangs."""


class Sink:
    """Writes topics into ClickHouse until it is stopped. Several processes share the partitions."""

    def __init__(
        self,
        settings: Settings,
        options: SinkOptions,
        metrics: SinkMetrics,
        on_assigned: Callable[[], None] = lambda: None,
    ) -> None:
        prefix = settings.kafka.topic_prefix
        registry = make_registry(settings.schema_registry, prefix)
        self._options = options
        self._metrics = metrics
        self._on_assigned = on_assigned
        self._group = options.group or f"{prefix}{SINK_GROUP}"
        self._topics = {topic.full_name(prefix): topic for topic in options.topics}
        self._row_makers: dict[str, RowMaker] = {
            name: row_maker(topic, registry) for name, topic in self._topics.items()
        }
        self._admin = TopicAdmin(settings.kafka)
        self._consumer = make_consumer(
            settings.kafka, self._group, options.session_timeout_s, options.instance_id
        )
        # An insert must end before its lease does: another owner may start the same block then.
        max_execution_s = 0.8 * options.session_timeout_s
        self._shards = ShardMap.of(settings.clickhouse)
        self._writers = [
            Writer(settings.clickhouse, self._shards, max_execution_s) for _ in range(options.inserts_at_once)
        ]
        self._questions = Writer(settings.clickhouse, self._shards, max_execution_s)
        """For the polling thread, while inserts are running."""
        self._dead_letters = DeadLetterProducer(
            settings, registry, self._group, options.session_timeout_s / 2
        )
        self._takeover = Takeover(
            self._topics,
            self._row_makers,
            self._questions,
            self._shards,
            self._dead_letters,
            options,
            metrics,
        )
        counters = {name: DeadLetterCounter(options.dead_letter_limit) for name in self._topics}
        self._work: dict[tuple[str, int], PartitionWork] = {}
        self._stopped = StoppedTopics(self._work, counters, self._dead_letters, self._questions, self._group)
        self._delivery = Delivery(
            self._consumer,
            self._writers,
            RefusedBlocks(
                self._questions,
                settle_s=options.session_timeout_s,
                patience_s=_PATIENT_SHARE * options.retry_limit_s,
                try_later=self._try_later,
            ),
            self._dead_letters,
            counters,
            self._stopped,
            metrics,
            shards=len(self._shards.shards),
        )
        self._backoff = Backoff(options.retry_limit_s)
        self._paused: set[tuple[str, int]] = set()
        self._interval_s = options.flush_interval_s
        self._polled_at_s = time.monotonic()
        self._begun_at_s = 0.0
        self._lag_due_s = 0.0
        metrics.progress_age.set_function(self.progress_age_s)

    def run(self, stop: Stop) -> None:
        """Consume and insert until ``stop`` is set; what was read is written before it returns, if that works at once.

        Raises ``SinkError`` when it cannot continue. Nothing is lost then: the next start continues.
        """
        try:
            there = self._find_topics()
        except NotReadyError:
            if stop.is_set():
                return
            raise
        if not there:
            raise NotReadyError(next(iter(self._stopped.missing.values())))
        self._consumer.subscribe(
            list(self._topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        try:
            while not stop.is_set():
                turn = self._collect(stop)
                self._make_blocks(turn)
                self._deliver(turn)
            self._complete()
        except FencedError as error:
            if not self._options.instance_id:
                raise
            raise FencedError(
                f"another sink runs with --instance-id {self._options.instance_id!r}, and has this one's partitions: "
                f"give each its own ({error})"
            ) from error
        finally:
            self._delivery.close()
            self._consumer.close()
            for writer in (*self._writers, self._questions):
                writer.close()

    # Health; asked from another thread

    def progress_age_s(self) -> float:
        """Seconds since it was known to get on: since its last poll, or since writing began to fail."""
        now_s = time.monotonic()
        return max(now_s - self._polled_at_s, self._failing(now_s)[0])

    def hangs(self) -> str:
        """What is wrong when the loop does not run; empty when it does."""
        silent_s = time.monotonic() - self._polled_at_s
        return f"the sink has not asked Kafka for records for {silent_s:.0f} s" if silent_s > HANGS_S else ""

    def stalls(self) -> str:
        """Why nothing is written, or not everything; empty while it is, or has not failed for long."""
        failing_s, why = self._backoff.failing(time.monotonic())
        if failing_s > STALLED_S:
            return f"nothing can be written for {failing_s:.0f} s: {why}"
        words = self._stopped.words()
        told = [f"topic {topic} is not written: {why}" for topic, why in words.items()]
        others = ["no other topic is stopped"] if 0 < len(words) < len(self._topics) else []
        return "; ".join([*told, *others])

    def _failing(self, now_s: float) -> tuple[float, str]:
        backoffs = [self._backoff, *(work.backoff for work in list(self._work.values()))]
        return max(backoff.failing(now_s) for backoff in backoffs)

    # Reading

    def _collect(self, stop: Stop) -> Sequence[PartitionWork]:
        """Read until a flush interval has passed since the last inserts began, or there is enough for others.

        Returns the partitions to write: before that time, those that are written in pieces.
        """
        deadline_s = self._begun_at_s + self._interval_s
        while True:
            has_pieces = bool(self._in_pieces())
            self._read(0.0 if has_pieces else max(0.0, deadline_s - time.monotonic()))
            works = list(self._work.values())
            if stop.is_set() or time.monotonic() >= deadline_s or has_enough(works):
                return works
            if has_pieces:
                return self._in_pieces()

    def _in_pieces(self) -> Sequence[PartitionWork]:
        return [work for work in self._work.values() if work.writes_pieces(time.monotonic())]

    def _read(self, timeout_s: float) -> None:
        """Read what there is, or wait for it."""
        self._limit_memory()
        for message in self._consumer.consume(_MESSAGES_A_CALL, timeout=timeout_s):
            self._take(message)
        self._polled_at_s = time.monotonic()

    def _take(self, message: Any) -> None:
        work = self._work.get((message.topic(), message.partition()))
        error = message.error()
        if error is not None:
            self._note(error, message, work)
        elif work is not None and concerns(message.headers(), self._group):
            work.add(ConsumedRecord(message.offset(), message.timestamp()[1], message.key(), message.value()))

    def _note(self, error: KafkaError, message: Any, work: PartitionWork | None) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's names for its own codes
            if work is not None:
                work.reached_end(message.offset())
        elif code == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - as above
            raise SinkError(
                f"{message.topic()} [{message.partition()}]: the next record was deleted while it waited to be read "
                f"({error.str()}); the next start of the sink reports what is lost and continues"
            )
        elif is_fenced(error):
            raise FencedError(f"the Kafka client cannot continue: {error.str()}")
        else:
            _LOG.warning("Kafka: %s", error.str())

    def _limit_memory(self) -> None:
        wanted = to_pause(self._work)
        if wanted - self._paused:
            self._consumer.pause([TopicPartition(*place) for place in wanted - self._paused])
        if self._paused - wanted:
            self._consumer.resume([TopicPartition(*place) for place in self._paused - wanted])
        self._paused = wanted

    # Ownership

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        topic_ids = self._find_topics()
        there = [partition for partition in partitions if partition.topic in topic_ids]
        bounds = self._admin.log_bounds(there)
        starts = []
        for (topic, partition), (offset, committed) in committed_positions(consumer, there).items():
            source = Source(topic, topic_ids[topic], partition)
            try:
                work, start = self._takeover.begin(source, offset, committed, bounds[topic, partition])
                self._work[topic, partition] = work
                starts.append(start)
            except (InsertStateUnknownError, InsertRefusedError) as error:
                self._stopped.leave(source, error)
        consumer.assign(starts)
        consumer.resume(starts)  # else the client remembers that one was paused when it was ours before
        self._paused = set()
        counts: dict[str, int] = {}
        for topic, _ in self._work:
            counts[topic] = counts.get(topic, 0) + 1
        self._interval_s = flush_interval_s(
            counts.values(),
            shortest_s=self._options.flush_interval_s,
            inserts_a_second=self._options.inserts_a_second,
        )
        self._metrics.partitions.set(len(self._work))
        _LOG.info("reads %d partitions of %d topics", len(self._work), len(counts))
        self._on_assigned()

    def _find_topics(self) -> dict[str, str]:
        """Ids of the topics that there are; the others are read when they appear, which the client finds by itself."""
        ids, missing = self._admin.find(self._topics)
        for topic in missing.keys() - self._stopped.missing.keys():
            _LOG.error("%s: the other topics are read", missing[topic])
        self._stopped.missing = missing
        self._admin.identity.seen(ids)
        return ids

    def _revoked(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        """Commit what is inserted already, then give the partitions up and commit nothing more for them."""
        try:
            self._complete()
        finally:
            self._lost(_consumer, partitions)

    def _lost(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        """Drop the work on partitions that others have by now: nothing more is committed for them."""
        for partition in partitions:
            work = self._work.pop((partition.topic, partition.partition), None)
            if work is not None:
                work.is_ours = False
            self._paused.discard((partition.topic, partition.partition))
            self._stopped.unread.pop((partition.topic, partition.partition), None)
        self._metrics.partitions.set(len(self._work))

    # Writing

    def _make_blocks(self, turn: Sequence[PartitionWork]) -> None:
        """Make the next block of each partition, those that have waited longest first, also while inserts are running.

        When much waits, of each topic only as many as are inserted side by side, and the others' blocks grow meanwhile:
        what a row costs the server, in merges above all, falls with the size of its block.
        """
        works = self._work.values()
        most = self._options.inserts_at_once if has_enough(works) else len(works)
        next_of_topic = Counter(work.source.topic for work in works if work.is_due and not work.is_failing)
        for work in () if is_full(works) else sorted(turn, key=attrgetter("waiting_since_s")):
            if next_of_topic[work.source.topic] < most and self._make_block(work):
                next_of_topic[work.source.topic] += 1
                if is_full(works):
                    break
        self._admin.identity.ask({work.source.topic for work in works if work.is_to_be_confirmed})

    def _make_block(self, work: PartitionWork) -> bool:
        # Beside a block that could not be inserted no other is made.
        if (
            work.stopped
            or (work.block is not None and work.is_failing)
            or work.backoff.waits(time.monotonic())
        ):
            return False
        try:
            if work.make_block() is None:
                return False
        except RetryLaterError as error:
            self._retry_later(work.backoff, error)
            return False
        work.backoff.succeeded()
        return True

    def _deliver(self, turn: Sequence[PartitionWork]) -> None:
        """Complete the inserts that are running, reading on meanwhile, and begin the next."""
        while self._delivery.is_inserting:
            if has_enough(self._work.values()):
                self._delivery.wait(_WAIT_WHEN_FULL_S)
            self._read(_WAIT_FOR_INSERTS_S)
        if len(turn) >= len(self._work):
            self._begun_at_s = time.monotonic()
        if self._complete() and self._lease_is_fresh():
            try:
                writable = [work for work in turn if not work.stopped]
                confirmed = self._admin.identity.confirmed(writable, self._try_later)
                self._delivery.begin(confirmed, self._lease_is_fresh)
                self._delivery.commit_empty_ends(self._work.values())
            except RetryLaterError as error:
                self._retry_later(self._backoff, error)
        self._admin.identity.look(work.source for work in self._work.values())
        self._stopped.look()
        self._report_lag()

    def _complete(self) -> bool:
        """Wait for the inserts and commit what was written; whether more can be begun now."""
        if self._backoff.waits(time.monotonic()):
            return False
        try:
            if self._delivery.complete():
                self._backoff.succeeded()
        except RetryLaterError as error:
            self._retry_later(self._backoff, error)
            return False
        return True

    def _lease_is_fresh(self) -> bool:
        """Whether the last poll is so recent that Kafka cannot have given our partitions to others yet."""
        return time.monotonic() - self._polled_at_s < self._options.session_timeout_s / 2

    def _try_later(self, work: PartitionWork, error: RetryLaterError) -> None:
        self._retry_later(work.backoff, error)

    def _retry_later(self, backoff: Backoff, error: RetryLaterError) -> None:
        is_database = isinstance(error, (DatabaseUnavailableError, InsertRefusedError))
        reason = "database" if is_database else "other"
        self._metrics.retries.labels(reason).inc()
        _LOG.warning("retrying soon: %s", error)
        backoff.failed(time.monotonic(), error)

    def _report_lag(self) -> None:
        if time.monotonic() < self._lag_due_s:
            return
        self._lag_due_s = time.monotonic() + _LAG_INTERVAL_S
        for topic, records in lag_of(self._consumer, self._topics, self._work).items():
            self._metrics.lag.labels(topic).set(records)
        stopped = self._stopped.words()
        for topic in self._topics:
            self._metrics.stopped_topics.labels(topic).set(topic in stopped)
