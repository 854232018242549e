"""The sender thread: one daemon in each process that reports, between the queues and librdkafka.

It never holds up the host program: callers only append. When the broker is away librdkafka's own queue fills first
(``queue_max_kbytes``), then ours (``queue_max_samples``); what comes after is dropped and counted. With a spool every
record goes to disk first, and memory fills when the disk takes no more.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.batches import BatchEncoder, drain, kpi_batch
from parallelm.mlops._delivery.encoded import EncodedRecord
from parallelm.mlops._delivery.forking import no_fork
from parallelm.mlops._delivery.kafka_producer import make_producer
from parallelm.mlops._delivery.waiting import RecordInWaiting
from parallelm.schemas import records, topics
from parallelm.schemas.errors import EncodeError
from parallelm.schemas.kpi_points import points_of_one_record
from parallelm.schemas.registry import make_registry
from parallelm.schemas.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._delivery.spool.replay import Replay
    from parallelm.mlops._delivery.spool.spool import Spool
    from parallelm.mlops._delivery.waiting import WaitingRecords
    from parallelm.mlops._reporting.samples import SampleQueue
    from parallelm.mlops._session.environment import ComponentEnvironment
    from parallelm.schemas.codec import Codec

_log = logging.getLogger("parallelm.mlops")

_POINTS_A_RECORD = 1_000
_RECORDS_A_ROUND = 100
_DROP_REPORT_INTERVAL_S = 1.0
_POLL_S = 0.05
_PATIENCE_ROUNDS = 5


class Sender(threading.Thread):
    """Drains the queues every flush interval."""

    def __init__(
        self,
        settings: Settings,
        environment: ComponentEnvironment,
        queue: SampleQueue,
        waiting: WaitingRecords,
        dropped: DropCounter,
    ) -> None:
        super().__init__(name="mlops-sender", daemon=True)
        self._settings = settings
        self._queue = queue
        self._waiting = waiting
        self._dropped = dropped
        self._origin = records.Origin(**environment.origin())
        self._origin_key = topics.origin_key(self._origin)
        self._statistics = topics.STATISTICS.full_name(settings.kafka.topic_prefix)
        self.producer_id = uuid.uuid4().hex
        self._seq = 0
        self._backlog: deque[EncodedRecord] = deque()
        self._unconfirmed = 0
        self._progress = time.monotonic()
        self._last_drop_report = self._last_delivery = self._progress
        self._last_error_log = -drops.LOG_INTERVAL_S
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._draining = threading.Lock()
        self._ended = threading.Event()
        self._producer: Any = None
        self._batches: BatchEncoder | None = None
        self._codec: Codec | None = None
        self._spool: Spool | None = None
        self._replay: Replay | None = None
        if settings.component.spool_folder:
            self._spool, self._replay = self._make_spool()

    def broker_answers(self, timeout_s: float) -> bool:
        """Whether a broker answers and knows the topic of statistics."""
        from confluent_kafka import KafkaException

        started = time.monotonic()
        if not self._ready.wait(timeout_s) or (producer := self._producer) is None:
            return False
        try:
            left_s = max(timeout_s - (time.monotonic() - started), 0.1)
            found = producer.list_topics(self._statistics, timeout=left_s)
        except KafkaException:
            return False
        return found.topics[self._statistics].error is None

    def close(self, patience_s: float) -> None:
        """Send what is there and end; gives up when nothing was delivered and no broker answered for ``patience_s``.

        A broker that answers but takes nothing is waited for ``_PATIENCE_ROUNDS`` times as long.
        """
        self._progress = time.monotonic()
        last = self._progress + max(self._settings.component.upload_timeout_s, patience_s)
        rounds = _PATIENCE_ROUNDS
        self._stopping.set()
        while (now := time.monotonic()) < min(last, self._progress + patience_s):
            if self._ended.wait(_POLL_S):
                return
            if rounds and now > self._progress + patience_s / 2:
                rounds -= 1
                if self.broker_answers(self._progress + patience_s - now):
                    self._progress = time.monotonic()
        with self._draining:
            self._abandoned.set()
        left = len(self._queue) + len(self._waiting)
        left += sum(record.reports for record in self._backlog if record.settled is None)
        self._dropped.add(drops.CLOSED, left + self._unconfirmed, "no broker took them in time")

    def leave_to_parent(self) -> None:
        """In a forked child: leave spool and producer alone.

        The producer is kept alive for ever: freeing it there waits for threads that are not.
        """
        if self._producer is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))
        if self._spool is not None and self._replay is not None:
            self._spool.leave_to_parent()
            self._replay.leave_to_parent()

    # ---- the thread ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Send until told to stop, then what is left."""
        interval_s = self._settings.component.flush_interval_ms / 1000
        self._step_safely()
        while not self._stopping.wait(interval_s):
            self._step_safely()
        self._send_rest()
        self._report_drops()
        self._send_rest()
        if self._spool is not None and self._replay is not None:
            self._replay.stop()
            if not self._spool.unsettled:
                self._spool.close()
        self._ended.set()
        if self._producer is not None:
            self._producer.purge()
            self._producer = None
        if self._spool is not None and self._replay is not None:
            self._spool.close()
            self._replay.release()

    def _send_rest(self) -> None:
        while not (self._all_delivered() or self._abandoned.is_set()):
            self._step_safely()
            if self._producer is not None:
                self._producer.flush(_POLL_S)

    def _step_safely(self) -> None:
        try:
            self._step()
        except Exception:  # noqa: BLE001 - the host program must not notice; the next step tries again
            now = time.monotonic()
            if now - self._last_error_log >= drops.LOG_INTERVAL_S:
                self._last_error_log = now
                _log.exception("reports cannot be sent now; they wait, and sending is tried again")
            self._abandoned.wait(_POLL_S if self._stopping.is_set() else 1.0)

    def _step(self) -> None:
        if self._producer is None:
            with no_fork:
                self._producer = make_producer(self._settings, self._on_error)
                before = self._last_delivery
                no_fork.connecting(lambda: self._last_delivery == before and self._producer is not None)
            self._ready.set()
            if self._replay is not None:
                self._replay.start()
        self._producer.poll(0)
        self._report_drops()
        # Only what is there now: with a caller that never rests, going on until nothing is left would end in records
        # of one sample each.
        samples, others = len(self._queue), len(self._waiting)
        while (self._send_backlog() or self._spool_has_room()) and (samples > 0 or others > 0):
            if samples > 0:
                samples -= self._encode_samples(samples) or samples
            for _ in range(min(others, _RECORDS_A_ROUND)):
                others -= self._encode_first() or others
        if self._spool is not None:
            self._spool.tend()

    def _encode_samples(self, limit: int) -> int:
        """Move one drain of samples to the backlog; how many."""
        batches = self._batch_encoder()
        with self._draining:
            if self._abandoned.is_set():  # what is in the queue now may belong to the next init()
                return 0
            samples = drain(self._queue, limit)
        for value, count in batches.encode(samples, self._take_seq):
            self._keep(EncodedRecord(self._statistics, self._origin_key, value, count))
        return len(samples)

    def _encode_first(self) -> int:
        """Encode the record that waits longest; how many. Points of KPIs that stand together become one record.

        What waits is taken off only when it is encoded, so that an error that passes (no registry) loses nothing.
        """
        if not self._waiting:
            return 0
        first = self._waiting[0]
        if isinstance(first, RecordInWaiting):
            self._encode(first, 1)
            self._waiting.take()
            return 1
        together = itertools.takewhile(
            lambda one: isinstance(one, records.KpiPoint),
            itertools.islice(list(self._waiting), _POINTS_A_RECORD),
        )
        points = list(points_of_one_record(cast("Iterator[records.KpiPoint]", together)))
        self._encode(RecordInWaiting(topics.KPIS, kpi_batch(points)), len(points))
        for _ in points:
            self._waiting.take()
        return len(points)

    def _take_seq(self) -> int:
        self._seq += 1
        return self._seq - 1

    def _encode(self, waiting: RecordInWaiting, count: int) -> None:
        topic = waiting.topic
        try:
            record = waiting.make(self._origin, self.producer_id, self._seq)
            value = self._record_codec().encode(record)
        except EncodeError as error:
            self._dropped.add(drops.NOT_ENCODED, count, str(error))
            return
        if len(value) > MAX_RECORD_BYTES:
            self._dropped.add(drops.TOO_LARGE, count, f"{len(value)} bytes for topic {topic.name}")
            return
        self._seq += 1
        key = record.origin.mlapp_id.encode() if topic.control else topics.origin_key(record.origin)
        self._keep(
            EncodedRecord(
                topic.full_name(self._settings.kafka.topic_prefix), key, value, count, waiting.delivered
            )
        )

    def _keep(self, record: EncodedRecord) -> None:
        """In the spool when there is one. What tells of its delivery is kept elsewhere: models, in the outbox."""
        if self._spool is None or record.delivered is not None or not self._spool.append(record):
            self._backlog.append(record)

    def _spool_has_room(self) -> bool:
        """Whether to go on although librdkafka takes no more. What the disk has refused before comes first."""
        spool, backlog = self._spool, self._backlog
        if spool is None or not spool.has_room():
            return False
        while backlog and backlog[-1].settled is None and backlog[-1].delivered is None:
            if not spool.append(backlog[-1]):
                return False
            backlog.pop()
        return True

    def _take_from_spool(self) -> bool:
        """Move one record from the spool to the backlog."""
        if self._spool is None or self._replay is None:
            return False
        record = self._spool.take() or self._replay.take()
        if record is None:
            return False
        self._backlog.append(record)
        return True

    def _send_backlog(self) -> bool:
        """Hand the backlog to librdkafka; False when its queue is full."""
        from confluent_kafka import KafkaException

        backlog, produce = self._backlog, self._producer.produce
        while backlog or self._take_from_spool():
            record = backlog[0]
            try:
                produce(record.topic, record.value, record.key, on_delivery=self._on_delivery(record))
            except BufferError:
                return False
            except KafkaException as error:  # this record will never go
                self._dropped.add(drops.NOT_DELIVERED, record.reports, str(error))
                if record.settled is not None:
                    record.settled(None, 0)
            else:
                self._unconfirmed += 0 if record.settled else record.reports
            backlog.popleft()
            self._producer.poll(0)
        return True

    def _on_delivery(self, record: EncodedRecord) -> Callable[[Any, Any], None]:
        if record.settled is not None:
            return self._on_delivery_from_spool(record.reports, record.settled)
        count, delivered = record.reports, record.delivered

        def report(error: Any, _message: Any) -> None:
            self._unconfirmed -= count
            if error is not None:
                self._dropped.add(drops.NOT_DELIVERED, count, error.str())
                return
            self._progress = self._last_delivery = time.monotonic()
            if delivered is not None:
                delivered()

        return report

    def _on_delivery_from_spool(
        self, count: int, settled: Callable[[int | None, int], None]
    ) -> Callable[[Any, Any], None]:
        def report(error: Any, message: Any) -> None:
            if self._abandoned.is_set():  # the next process sees whether it has arrived
                return
            if error is not None:
                self._dropped.add(drops.NOT_DELIVERED, count, error.str())
                settled(None, 0)
                return
            self._note_progress()
            self._last_delivery = self._progress
            settled(message.partition(), message.offset())

        return report

    def _note_progress(self) -> None:
        self._progress = time.monotonic()

    def _report_drops(self) -> None:
        """Tell the platform what was dropped, once a broker takes records again."""
        now = time.monotonic()
        soon = now - self._last_drop_report < _DROP_REPORT_INTERVAL_S and not self._stopping.is_set()
        if soon or self._backlog or self._last_delivery <= self._last_drop_report:
            return
        self._last_drop_report = now
        for reason, count in self._dropped.take_unreported().items():
            labels = (("reason", reason),)
            self._queue.append(
                ((drops.METRIC, "", "TIME_SERIES", "LINEGRAPH", labels), float(count), time.time())
            )

    def _all_delivered(self) -> bool:
        if self._queue or self._waiting or self._backlog or self._unconfirmed:
            return False
        return self._spool is None or self._replay is None or not (self._spool.unsettled or self._replay.busy)

    # ---- what it is made of -------------------------------------------------------------------------------------

    def _on_error(self, error: Any) -> None:
        now = time.monotonic()
        if now - self._last_error_log >= drops.LOG_INTERVAL_S:
            self._last_error_log = now
            _log.warning("Kafka at %s: %s; reports wait", self._settings.kafka.bootstrap_servers, error.str())

    def _make_spool(self) -> tuple[Spool, Replay]:
        from parallelm.mlops._delivery.spool.replay import Replay
        from parallelm.mlops._delivery.spool.spool import Spool

        component, prefix = self._settings.component, self._settings.kafka.topic_prefix
        folder = Path(component.spool_folder)
        spool = Spool(folder, self.producer_id, prefix, component.spool_max_mbytes << 20, self._dropped)
        names = [
            topic.full_name(prefix)
            for topic in (topics.STATISTICS, topics.STRUCTURED_STATISTICS, topics.EVENTS, topics.KPIS)
        ]
        return spool, Replay(
            self._settings.kafka, folder, names, spool.begin, self._note_progress, self._dropped
        )

    def _batch_encoder(self) -> BatchEncoder:
        if self._batches is None:
            registry = make_registry(self._settings.schema_registry, self._settings.kafka.topic_prefix)
            self._batches = BatchEncoder(registry, self._origin, self.producer_id, self._dropped)
        return self._batches

    def _record_codec(self) -> Codec:
        if self._codec is None:
            with no_fork:
                from parallelm.schemas.codec import Codec

            registry = make_registry(self._settings.schema_registry, self._settings.kafka.topic_prefix)
            self._codec = Codec(registry)
        return self._codec
