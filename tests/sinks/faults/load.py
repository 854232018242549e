"""What producers send during a fault test, what was acknowledged to them, and what the tables say of it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clickhouse_driver import errors as driver_errors
from confluent_kafka import Producer

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.schemas import topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.sinks.consumer import TopicAdmin
from parallelm.sinks.sample_columns import ARRAYS_FROM_SAMPLES
from tests.sinks import samples
from tests.sinks.samples import T0_MS
from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings

REFUSED_VALUE = -1.0
RULE = f"ALTER TABLE statistics ADD CONSTRAINT refused CHECK value != {REFUSED_VALUE}"
"""What makes ClickHouse refuse some records."""
PARTITIONS = topics.STATISTICS.partitions
MANY = ARRAYS_FROM_SAMPLES + 2_000
"""So many samples of a record are inserted as arrays, and those of other records with them."""
_BATCH = 25
_PAUSE_S = 0.05
_DAY_MS = 86_400_000


@dataclass
class Acknowledged:
    """What Kafka has confirmed to the producers, by (topic id, partition) and offset."""

    samples: dict[tuple[str, int], dict[int, tuple[int, float]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Count and sum of each record of statistics that must be rows."""
    events: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))
    bad: set[tuple[str, int, int]] = field(default_factory=set)
    """Records that must be dead letters."""

    @property
    def records(self) -> int:
        """All of them."""
        return sum(map(len, self.samples.values())) + sum(map(len, self.events.values())) + len(self.bad)

    def totals(self) -> tuple[int, float, int, int]:
        """Samples, their sum, events and dead letters."""
        each = [one for by_offset in self.samples.values() for one in by_offset.values()]
        total = sum(value for _, value in each)
        return sum(count for count, _ in each), total, sum(map(len, self.events.values())), len(self.bad)


class Load:
    """Sends samples, events, records that nobody can decode, and some that the table refuses."""

    def __init__(self, settings: Settings, chance: random.Random) -> None:
        self._settings = settings
        self._chance = chance
        self._codec = Codec(PackagedRegistry())
        self._producer = Producer(client_config(settings.kafka, linger_ms=5, enable_idempotence=True))
        self.acknowledged = Acknowledged()
        self._names = {
            topic.name: topic.full_name(settings.kafka.topic_prefix)
            for topic in (topics.STATISTICS, topics.EVENTS)
        }
        self._ids: dict[str, str] = {}
        self.learn_topic_ids()

    def learn_topic_ids(self) -> None:
        """Ask the broker for the ids of the topics as they are now."""
        self._ids = TopicAdmin(self._settings.kafka).find(self._names.values())[0]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Producers send; at the end Kafka has acknowledged all."""
        stop = threading.Event()
        thread = threading.Thread(target=self._send_until, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.flush()

    def flush(self) -> None:
        assert self._producer.flush(DEADLINE_S) == 0

    def send_markers(self) -> list[tuple[int, int]]:
        """One record to each partition of statistics; (partition, offset) of each once Kafka has them all."""
        places: list[tuple[int, int]] = []
        for partition in range(PARTITIONS):
            self._sample(partition, lambda message: places.append((message.partition(), message.offset())))
        deadline_s = time.monotonic() + DEADLINE_S
        while len(places) < PARTITIONS:
            assert time.monotonic() < deadline_s
            self._producer.poll(0.05)
        return places

    def send_events(self, count: int) -> None:
        """Events only."""
        for _ in range(count):
            self._event()
        self.flush()

    def _send_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for _ in range(_BATCH):
                self._sample(self._chance.randrange(PARTITIONS))
            if self._chance.random() < 0.02:
                self._poison()
            self._producer.poll(0)
            stop.wait(_PAUSE_S)

    def _sample(self, partition: int, then: Callable[[Any], None] = lambda _: None) -> None:
        count = MANY if self._chance.random() < 0.005 else self._chance.randint(1, 20)
        day_ms = T0_MS + _DAY_MS * self._chance.randrange(3)
        values = [float(self._chance.randrange(1000)) for _ in range(count)]
        series = samples.series(
            [float(day_ms + 1000 * number) for number in range(count)],
            values,
            f"s{self._chance.randrange(9)}",
        )
        place = (self._ids[self._names["statistics"]], partition)

        def take(message: Any) -> None:
            self.acknowledged.samples[place][message.offset()] = (count, sum(values))
            then(message)

        self._produce("statistics", self._codec.encode(samples.batch(series)), partition, take)

    def _event(self) -> None:
        topic_id = self._ids[self._names["events"]]

        def take(message: Any) -> None:
            self.acknowledged.events[topic_id, message.partition()].add(message.offset())

        self._produce("events", self._codec.encode(samples.event()), self._chance.randrange(3), take)

    def _poison(self) -> None:
        refused = samples.batch(samples.series([float(T0_MS)] * 2, [1.0, REFUSED_VALUE]))
        value = self._codec.encode(refused) if self._chance.random() < 0.5 else b"not avro"

        def take(message: Any) -> None:
            self.acknowledged.bad.add((message.topic(), message.partition(), message.offset()))

        self._produce("statistics", value, self._chance.randrange(PARTITIONS), take)

    def _produce(self, name: str, value: bytes, partition: int, take: Callable[[Any], None]) -> None:
        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            take(message)

        self._producer.produce(
            self._names[name], value, str(partition).encode(), partition, on_delivery=delivered
        )


class Tables:
    """Questions to a database that may be away."""

    def __init__(self, settings: Settings) -> None:
        self._client: Client = clickhouse_client(settings.clickhouse, connect_timeout=5)

    def ask(self, query: str) -> list[tuple[Any, ...]] | None:
        """Rows; None while the database does not answer."""
        try:
            rows: list[tuple[Any, ...]] = self._client.execute(query)
        except (driver_errors.Error, OSError, EOFError):
            self._client.disconnect()
            return None
        return rows

    def close(self) -> None:
        self._client.disconnect()

    def have(self, places: list[tuple[int, int]]) -> bool:
        """Whether these records of statistics are rows."""
        rows = self.ask(
            "SELECT uniqExact(_partition, _offset) FROM statistics "
            f"WHERE (_partition, _offset) IN ({', '.join(map(str, places))})"
        )
        return rows == [(len(places),)]

    def differences(self, expected: Acknowledged) -> str:
        """How they differ from what was acknowledged; empty when every record is there once, in each table."""
        samples_, total, _events, bad = expected.totals()
        checks = {
            "samples, distinct ones, sum": (
                "SELECT count(), uniqExact(_topic_id, _partition, _offset, _series, _index), sum(value) FROM statistics",
                [(samples_, samples_, total)],
            ),
            "samples and sum by day": (
                "SELECT sum(samples), sum(sum_value) FROM statistics_by_day",
                [(samples_, total)],
            ),
            "offsets of samples": (
                (
                    "SELECT _topic_id, _partition, uniqExact(_offset), sum(DISTINCT _offset) FROM statistics GROUP BY ALL "
                    "ORDER BY ALL"
                ),
                sorted(
                    (*place, len(found), sum(found)) for place, found in expected.samples.items() if found
                ),
            ),
            "offsets of events": (
                "SELECT _topic_id, _partition, count(), sum(_offset) FROM events GROUP BY ALL ORDER BY ALL",
                sorted((*place, len(found), sum(found)) for place, found in expected.events.items() if found),
            ),
            "dead letters": (
                (
                    "SELECT count(), uniqExact(source_topic, source_partition, source_offset) FROM dead_letters "
                    "WHERE stage != 'retention'"
                ),
                [(bad, bad)],
            ),
        }
        for what, (query, wanted) in checks.items():
            found = self.ask(query)
            if found != wanted:
                return f"{what}: {found}, not {wanted}"
        return ""
