"""Delivers encoded records through librdkafka until they are confirmed: the second half of the sender thread."""

from __future__ import annotations

import ctypes
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.broker_away import POLL_S
from parallelm.mlops._delivery.host_process.forking import no_fork
from parallelm.mlops._delivery.kafka_producer import make_producer
from parallelm.mlops._delivery.obstacles import Obstacles, Stage, broker_reason, topic_reason
from parallelm.schemas import topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._delivery.encoding.encoded import EncodedRecord
    from parallelm.mlops._delivery.kafka_producer import Producer
    from parallelm.mlops._delivery.spool.route import SpoolRoute

_WARM_UP_TIMEOUT_S = 0.2


class Progress:
    """When something last went well, on the monotonic clock."""

    def __init__(self) -> None:
        self.latest = self.delivery = 0.0

    def note(self) -> None:
        """A broker has answered for the first time, or the spool is being read."""
        self.latest = time.monotonic()

    def delivered(self) -> None:
        """A broker has a record."""
        self.latest = self.delivery = time.monotonic()


class Delivery:
    """Passes records to librdkafka and handles its delivery reports. For the sender thread, unless a method says otherwise."""

    def __init__(
        self,
        settings: Settings,
        spool: SpoolRoute | None,
        dropped: DropCounter,
        obstacles: Obstacles,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self.spool = spool
        self.progress = progress
        self._dropped = dropped
        self._obstacles = obstacles
        self._producer: Producer | None = None
        self._answered = False
        self._tried = False
        self._abandoned = False
        self._backlog: deque[EncodedRecord] = deque()
        self._unconfirmed: dict[int, EncodedRecord] = {}

    # ---- the client ---------------------------------------------------------------------------------------------

    def connect(self) -> Producer:
        """The producer, made at the first call. Raises ``ConfigurationError``."""
        producer = self._producer
        if producer is None:
            with no_fork:
                producer = make_producer(self._settings, self._on_error)
                no_fork.connecting(lambda: not (self._tried or self._abandoned))
            self._producer = producer
            self._obstacles.passed(Stage.CLIENT)
            if self.spool is not None:
                self.spool.start()
        return producer

    def warm_up(self) -> None:
        """Get the first metadata and the id of the idempotent producer, so that the first record goes out at once.

        librdkafka asks for the id when a broker is known, else every 500 ms. The first answer about metadata makes the
        broker known, the second comes over the connection to it: 65 ms instead of 505, measured.
        """
        if not self._answered and self.probe(_WARM_UP_TIMEOUT_S):
            self.probe(_WARM_UP_TIMEOUT_S)

    def probe(self, timeout_s: float) -> bool:
        """Whether a broker answers and has the topic of the oldest record that waits; notes what is in the way.

        From any thread.
        """
        from confluent_kafka import KafkaException

        producer = self._producer
        if producer is None:
            return False
        topic = self._topic_of_the_oldest()
        try:
            found = producer.list_topics(topic, timeout=max(timeout_s, POLL_S))
        except KafkaException as error:
            if not self._obstacles.reason():
                self._obstacles.found(
                    Stage.BROKER, broker_reason(self._settings.kafka, error.args[0]), log=False
                )
            return False
        self._obstacles.passed(Stage.BROKER)
        if not self._answered:
            self._answered = self._tried = True
            self.progress.note()
        refusal = found.topics[topic].error
        if refusal is not None:
            self._obstacles.found(Stage.TOPIC, topic_reason(self._settings.kafka, topic, refusal))
            return False
        self._obstacles.passed(Stage.TOPIC)
        return True

    def _topic_of_the_oldest(self) -> str:
        waiting = [*list(self._unconfirmed.values())[:1], *list(self._backlog)[:1]]
        return waiting[0].topic if waiting else topics.STATISTICS.full_name(self._settings.kafka.topic_prefix)

    def _on_error(self, error: Any) -> None:
        from confluent_kafka import KafkaError

        self._tried = True
        # "All brokers are down" follows an error that says why.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._obstacles.reason():  # noqa: SLF001 - confluent's name
            self._obstacles.found(Stage.BROKER, broker_reason(self._settings.kafka, error))

    # ---- records ------------------------------------------------------------------------------------------------

    def keep(self, record: EncodedRecord) -> None:
        """Take a record: into the spool if there is one, except for models, which the outbox stores."""
        if self.spool is None or record.delivered is not None or not self.spool.append(record):
            self._backlog.append(record)

    def send(self, producer: Producer) -> bool:
        """Queue everything with librdkafka; False when its queue is full."""
        from confluent_kafka import KafkaException

        while self._backlog or self._take_from_spool():
            record = self._backlog[0]
            self._unconfirmed[id(record)] = record
            try:
                producer.produce(
                    record.topic, record.value, record.key, on_delivery=self._on_delivery(record)
                )
            except BufferError:
                del self._unconfirmed[id(record)]
                return False
            except KafkaException as error:  # this record can never be sent
                self._refused(record, error.args[0])
            self._backlog.popleft()
            producer.poll(0)
        return True

    def flush(self, timeout_s: float) -> None:
        """Wait a little for confirmations."""
        if self._producer is not None:
            self._producer.flush(timeout_s)

    def spool_has_room(self) -> bool:
        """Whether to go on encoding while librdkafka's queue is full. Records that the disk refused earlier come first."""
        spool, backlog = self.spool, self._backlog
        if spool is None or not spool.has_room():
            return False
        while backlog and not backlog[-1].is_safe:
            if not spool.append(backlog[-1]):
                return False
            backlog.pop()
        return True

    @property
    def backlog(self) -> int:
        """Records that are not in librdkafka's queue yet."""
        return len(self._backlog)

    @property
    def is_done(self) -> bool:
        """Whether all was delivered."""
        return not (self._backlog or self._unconfirmed or (self.spool is not None and self.spool.is_busy))

    def _take_from_spool(self) -> bool:
        record = self.spool.take() if self.spool is not None else None
        if record is None:
            return False
        self._backlog.append(record)
        return True

    def _on_delivery(self, record: EncodedRecord) -> Callable[[Any, Any], None]:
        def report(error: Any, message: Any) -> None:
            if (
                self._abandoned
            ):  # counted already, or in the spool, where the next process sees whether it has arrived
                return
            if error is not None:
                self._refused(record, error)
                return
            del self._unconfirmed[id(record)]
            self.progress.delivered()
            self._obstacles.passed(Stage.BROKER)
            self._obstacles.passed(Stage.TOPIC)
            if record.delivered is not None:
                record.delivered()
            if record.settled is not None:
                record.settled(message.partition(), message.offset())

        return report

    def _refused(self, record: EncodedRecord, error: Any) -> None:
        del self._unconfirmed[id(record)]
        detail = topic_reason(self._settings.kafka, record.topic, error)
        if record.delivered is None:
            self._dropped.add(drops.NOT_DELIVERED, record.contents(), detail)
        else:
            self._obstacles.found(Stage.TOPIC, detail)
        if record.settled is not None:
            record.settled(None, 0)

    # ---- the end ------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Ignore further delivery reports. From any thread."""
        self._abandoned = True

    def left(self) -> Counter[str]:
        """What was not delivered and is not safe on disk. From any thread, after ``abandon``."""
        records = {id(record): record for record in [*list(self._backlog), *list(self._unconfirmed.values())]}
        left: Counter[str] = Counter()
        for record in records.values():
            if not record.is_safe:
                left.update(record.contents())
        return left

    def why_not_confirmed(self) -> str:
        """The reason to report when no obstacle is known."""
        where = f"Kafka at {self._settings.kafka.bootstrap_servers!r}"
        if self._answered:
            return f"{where} answers, but has not confirmed the records in time"
        return f"{where} does not answer"

    def close(self) -> None:
        """Release producer and spool; whatever librdkafka still holds is discarded."""
        if self._producer is not None:
            self._abandoned = True
            self._producer.purge()
            self._producer = None
        if self.spool is not None:
            self.spool.close()

    def leave_to_parent(self) -> None:
        """In a forked child: leave spool and producer alone.

        The producer is never freed there: freeing it would wait for threads that exist in the parent only.
        """
        if self._producer is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))
        if self.spool is not None:
            self.spool.leave_to_parent()
