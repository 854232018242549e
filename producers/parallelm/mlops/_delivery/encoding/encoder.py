"""Encodes what callers have queued: the first half of the sender thread; the second is ``delivery``."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, cast

from parallelm.connections.secrets import without_credentials
from parallelm.mlops._delivery import drops
from parallelm.mlops._delivery.encoding.batches import BatchEncoder, drain, kpi_batch
from parallelm.mlops._delivery.encoding.encoded import EncodedRecord, samples_by_name
from parallelm.mlops._delivery.host_process.forking import no_fork
from parallelm.mlops._delivery.obstacles import Obstacles, Stage
from parallelm.mlops._delivery.waiting import RecordInWaiting, WaitingRecords, contents
from parallelm.schemas import records, topics
from parallelm.schemas.errors import EncodeError
from parallelm.schemas.kpi_points import points_of_one_record
from parallelm.schemas.registry import make_registry
from parallelm.schemas.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.connections import Settings
    from parallelm.mlops._delivery.drops import DropCounter
    from parallelm.mlops._reporting.samples import SampleQueue
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.registry import Registry

_POINTS_A_RECORD = 1_000


class Inbox(NamedTuple):
    """The queues that callers append to and the sender thread reads."""

    samples: SampleQueue
    records: WaitingRecords


class Speaker(NamedTuple):
    """Origin and producer id of this process, part of every record."""

    origin: records.Origin
    producer_id: str


class Encoder:
    """Takes reports off the inbox, numbers and encodes them, and hands them to ``keep``. For the sender thread only.

    To other threads a report is either in the inbox or was passed to ``keep``: ``close`` waits for a report in between.
    """

    def __init__(
        self,
        settings: Settings,
        speaker: Speaker,
        inbox: Inbox,
        keep: Callable[[EncodedRecord], None],
        dropped: DropCounter,
        obstacles: Obstacles,
    ) -> None:
        self._settings = settings
        self._speaker = speaker
        self._inbox = inbox
        self._keep = keep
        self._dropped = dropped
        self._schemas = _Schemas(settings, speaker, dropped, obstacles)
        self._seq = 0
        self._taking = threading.RLock()  # SIGTERM may come in the middle of close()
        self._closed = False

    def encode_samples(self, limit: int) -> int:
        """Encode the oldest samples, at most ``limit``; returns how many. On ``SchemaError`` the queue is unchanged."""
        batches = self._schemas.batches()
        with self._taking:
            if self._closed:  # what is in the queue now may belong to the next init()
                return 0
            samples = drain(self._inbox.samples, limit)
            topic = topics.STATISTICS.full_name(self._settings.kafka.topic_prefix)
            key, kept = topics.origin_key(self._speaker.origin), 0
            try:
                for batch in batches.encode(samples, self._take_seq):
                    kept += batch.samples
                    self._keep(EncodedRecord(topic, key, batch.value, batch.samples, series=batch.series))
            except Exception as error:
                self._dropped.add(drops.NOT_ENCODED, {"sample": len(samples) - kept}, str(error))
                raise
        return len(samples)

    def encode_first(self) -> int:
        """Encode the oldest record; returns how many entries were taken. Adjacent KPI points become one record.

        On ``SchemaError`` the queue is unchanged.
        """
        waiting = self._inbox.records
        if not waiting:
            return 0
        first = waiting[0]
        if isinstance(first, RecordInWaiting):
            return self._encode(first, 1)
        together = itertools.takewhile(
            lambda one: isinstance(one, records.KpiPoint),
            itertools.islice(list(waiting), _POINTS_A_RECORD),
        )
        points = list(points_of_one_record(cast("Iterator[records.KpiPoint]", together)))
        what = drops.named("KPI", points[0].name) + (f" and {len(points) - 1} others" if points[1:] else "")
        return self._encode(RecordInWaiting(topics.KPIS, kpi_batch(points), what=what), len(points))

    def close(self) -> None:
        """Stop taking reports."""
        with self._taking:
            self._closed = True

    def left(self) -> Counter[str]:
        """What is still in the inbox, except models, which are in the outbox."""
        left = Counter(samples_by_name([(sample[0], 1) for sample in list(self._inbox.samples)]))
        for record in list(self._inbox.records):
            if isinstance(record, records.KpiPoint) or record.delivered is None:
                left.update(contents(record))
        return left

    def _take_seq(self) -> int:
        self._seq += 1
        return self._seq - 1

    def _encode(self, waiting: RecordInWaiting, count: int) -> int:
        topic = waiting.topic
        what = waiting.what or topic.name
        encoded = None
        try:
            record = waiting.make(self._speaker.origin, self._speaker.producer_id, self._seq)
            value = self._schemas.encode(record)
        except EncodeError as error:
            reason, detail = drops.NOT_ENCODED, str(error)
        else:
            reason, detail = drops.TOO_LARGE, f"a record may take {MAX_RECORD_BYTES:,} bytes"
            what = f"{what} of {len(value):,} bytes"
            if len(value) <= MAX_RECORD_BYTES:
                key = topic.key(record)
                name = topic.full_name(self._settings.kafka.topic_prefix)
                encoded = EncodedRecord(name, key, value, count, waiting.delivered, what=what)
        with self._taking:
            if self._closed:
                return 0
            for _ in range(count):
                self._inbox.records.take()
            if encoded is None:
                self._dropped.add(reason, {what: count}, detail)
            else:
                self._seq += 1
                self._keep(encoded)
        return count


class _Schemas:
    """Codecs with schema ids from a registry that may be unavailable: each is created at its first use."""

    def __init__(
        self, settings: Settings, speaker: Speaker, dropped: DropCounter, obstacles: Obstacles
    ) -> None:
        self._settings = settings
        self._speaker = speaker
        self._dropped = dropped
        self._obstacles = obstacles
        self._registry: Registry | None = None
        self._batches: BatchEncoder | None = None
        self._codec: Codec | None = None
        self._known: set[type] = set()

    def batches(self) -> BatchEncoder:
        """The encoder of samples."""
        if self._batches is None:
            registry = self._asking()
            self._batches = BatchEncoder(
                registry, self._speaker.origin, self._speaker.producer_id, self._dropped
            )
            self._obstacles.passed(Stage.ENCODING)
        return self._batches

    def encode(self, record: object) -> bytes:
        """Bytes of any other record."""
        if type(record) not in self._known:
            registry = self._asking()
            if self._codec is None:
                with no_fork:
                    from parallelm.schemas.codec import Codec
                self._codec = Codec(registry)
            registry.schema_id(type(record))
            self._known.add(type(record))
            self._obstacles.passed(Stage.ENCODING)
        return cast("Codec", self._codec).encode(record)

    def _asking(self) -> Registry:
        """The registry client; until a request succeeds, its failure is noted as the obstacle."""
        if url := without_credentials(self._settings.schema_registry.url):
            reason = f"the schema registry at {url} has not answered; check MCENTER_SCHEMA_REGISTRY_URL"
            self._obstacles.found(Stage.ENCODING, reason, log=False)
        if self._registry is None:
            self._registry = make_registry(self._settings.schema_registry, self._settings.kafka.topic_prefix)
        return self._registry
