"""Samples a second through ten threshold rules, time from a sample to its alert, memory and restart with many series.

The peer of the rate decodes the same records with fastavro in a plain loop, compares ten values of each and does nothing
else. A broker of its own is started, and one ``mcenter processors``; everything is measured on the topics.
"""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.definitions import DefinitionTopic, next_version, parse_definition, to_record
from parallelm.operations.lag import group_lags
from parallelm.schemas import packaged, topics
from parallelm.schemas.codec import Codec, parse
from parallelm.schemas.records import AlertState, AlertTransition, Origin, Series, StatisticsBatch
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.wire import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings

ORIGINS = 50
SERIES = 20
WATCHED = 10
RECORDS = 60_000
ROUNDS = 3
LATENCY_RATE = 20_000
LATENCY_S = 20
MANY_SERIES = 20_000
_LATENCY_ORIGINS = 49
"""No divisor in common with the distance of the breaches, so that they visit all origins."""
TIMEOUT_S = 120.0
LIMIT = 1e9


def main() -> None:
    """Print rate and ratio, latency, and memory and restart with many series."""
    with ExitStack() as opened:
        settings = _running(opened)
        bench = _Bench(settings, Path(opened.enter_context(tempfile.TemporaryDirectory())))
        bench.apply("load", [f"stat.{number}" for number in range(WATCHED)])
        bench.apply("many", [], pattern=r"many\..*")
        with bench.worker():
            for number in range(ROUNDS):
                bench.rate(number)
            bench.latency()
        bench.many_series()


def _running(opened: ExitStack) -> Settings:
    from parallelm.mcenter.local_stack import LocalStack

    folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
    settings = opened.enter_context(LocalStack(folder, services=("kafka",))).settings
    prefix = f"bench{uuid.uuid4().hex[:8]}."
    settings = dataclasses.replace(settings, kafka=dataclasses.replace(settings.kafka, topic_prefix=prefix))
    create_topics(settings)
    return settings


class _Bench:
    """Topics of one prefix, and a worker on them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.codec = Codec(PackagedRegistry())
        self.producer = Producer(
            client_config(
                settings.kafka,
                linger_ms=5,
                compression_type="lz4",
                queue_buffering_max_messages=1_000_000,
                partitioner="murmur2_random",
            )
        )
        self.topic = topics.STATISTICS.full_name(settings.kafka.topic_prefix)
        self.start_ms = time.time() * 1000 - 3_600_000
        self.process: subprocess.Popen[bytes] | None = None
        self._alerts: _Alerts | None = None

    def apply(self, mlapp: str, statistics: list[str], pattern: str = "") -> None:
        """A threshold rule for each statistic, and one for a pattern."""
        rules = [
            f"  - {{name: r{at}, type: threshold, statistic: {name}, above: {LIMIT:.0f}}}\n"
            for at, name in enumerate(statistics)
        ]
        if pattern:
            rules.append(
                f"  - {{name: p, type: threshold, statistic_pattern: '{pattern}', above: {LIMIT:.0f}}}\n"
            )
        text = f"mlapp: {mlapp}\nnodes:\n  - {{id: predict, type: auxiliary}}\nalerts:\n{''.join(rules)}"
        with DefinitionTopic(self.settings) as topic:
            definition = parse_definition(text, mlapp)
            record = next_version(
                None, to_record(definition, text, version=0, applied_by="bench", event_time_ms=0)
            )
            if record is not None:
                topic.apply(record)

    @contextmanager
    def worker(self) -> Iterator[float]:
        """A worker that is ready; the seconds that it took."""
        ready = self.folder / f"ready{time.monotonic_ns()}"
        kafka = self.settings.kafka
        environ = os.environ | {
            "MCENTER_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "MCENTER_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
            "MCENTER_READY_FILE": str(ready),
        }
        command = [sys.executable, "-m", "parallelm.mcenter", "processors"]
        log = (self.folder / "worker.log").open("ab")
        begun = time.perf_counter()
        with log, subprocess.Popen(command, env=environ, stdout=log, stderr=log) as process:
            self.process = process
            try:
                _wait(ready.exists, "the worker is ready")
                yield time.perf_counter() - begun
            finally:
                process.terminate()
                process.wait(30)

    def rate(self, number: int) -> None:
        """Records of 20 series x 1 sample from 50 origins; the last of each origin breaches, and its alerts prove the rest."""
        values = [self._record(at, number) for at in range(RECORDS)]
        alerts = self.alerts()
        expected = ORIGINS * WATCHED
        begun = time.perf_counter()
        for at, value in enumerate(values):
            self.producer.produce(self.topic, value, f"load/{at % ORIGINS}")
        self.producer.flush(60)
        fired: set[str] = set()
        while len(fired) < expected:
            fired |= {found.fingerprint for found in alerts.new() if found.state is AlertState.FIRING}
            _late(begun, f"{len(fired)} of {expected} alerts")
        ours = RECORDS * SERIES / (time.perf_counter() - begun)
        plain = _plain_rate(values)
        print(
            f"round {number + 1}: {ours:10,.0f} samples/s until the last alert is on Kafka; "
            f"plain loop {plain:10,.0f}; ratio {ours / plain:.2f}",
            flush=True,
        )

    def latency(self) -> None:
        """From ``produce`` of a sample that breaches to its alert on Kafka, at a steady rate."""
        self._caught_up()
        alerts, sent, took = self.alerts(), {}, []
        begun = time.perf_counter()
        records = LATENCY_RATE * LATENCY_S // SERIES
        for at in range(records):
            # The first record of an origin ends the alerts of the rounds before; a breach in it would go on with them.
            breach = at % 40 == 0 and at >= _LATENCY_ORIGINS
            event_ms = self.start_ms + 3_000_000 + at
            # Another series each time: one that breaches again and again is held firing as flapping.
            wrong = at // 40 // _LATENCY_ORIGINS % WATCHED if breach else -1
            values = [2 * LIMIT if place == wrong else float(place) for place in range(SERIES)]
            self._produce(at % _LATENCY_ORIGINS, values, event_ms)
            if breach:
                sent[int(event_ms)] = time.perf_counter()
            ahead = at * SERIES / LATENCY_RATE - (time.perf_counter() - begun)
            if ahead > 0:
                self.producer.flush(0)
                took += _taken(alerts.new(), sent)
                time.sleep(max(0.0, min(ahead, 0.002)))
        self.producer.flush(60)
        while sent and time.perf_counter() - begun < LATENCY_S + 10:
            took += _taken(alerts.new(), sent)
        if sent:
            sys.exit(f"{len(sent)} of {len(sent) + len(took)} breaches raised no alert")
        took.sort()
        rate = records * SERIES / LATENCY_S
        print(
            f"sample to firing at {rate:,.0f} samples/s: median {took[len(took) // 2] * 1e3:.0f} ms, "
            f"p99 {took[len(took) * 99 // 100] * 1e3:.0f} ms, longest {took[-1] * 1e3:.0f} ms of {len(took)}",
            flush=True,
        )

    def many_series(self) -> None:
        """Memory that watched series take, and a start with the state of them all."""
        with self.worker() as bare_s:
            before = self._memory()
            for origin in range(MANY_SERIES // 1_000):
                for repeat in range(6):
                    self._produce_many(origin, repeat)
            self.producer.flush(60)
            self._caught_up()
            after = self._memory()
        with self.worker() as full_s:
            again = self._memory()
        print(
            f"{MANY_SERIES:,} watched series: {(after - before) / 2**20:.0f} MB more than the {before / 2**20:.0f} MB "
            f"without; ready {full_s:.1f} s after a start with their state ({again / 2**20:.0f} MB), {bare_s:.1f} s without",
            flush=True,
        )

    def alerts(self) -> _Alerts:
        """The alerts topic from here on."""
        if self._alerts is None:
            self._alerts = _Alerts(self.settings, self.codec)
        self._alerts.new()
        return self._alerts

    def _record(self, at: int, number: int) -> bytes:
        last = at >= RECORDS - ORIGINS
        value = 2 * LIMIT if last else float(at)
        # Each round has names of models of its own, so that its alerts are told from those of the round before.
        return self._encoded(at % ORIGINS, [value] * SERIES, self.start_ms + number * 1_000_000 + at)

    def _encoded(self, origin: int, values: list[float], event_ms: float, name: str = "stat") -> bytes:
        series = [
            Series(
                name=f"{name}.{place}",
                model_id="",
                category="TIME_SERIES",
                graph_type="LINEGRAPH",
                labels={},
                timestamps_ms=[event_ms],
                values=[value],
            )
            for place, value in enumerate(values)
        ]
        return self.codec.encode(
            StatisticsBatch(
                origin=_origin("load" if name == "stat" else "many", origin),
                producer_id="p",
                seq=0,
                series=series,
            )
        )

    def _produce(self, origin: int, values: list[float], event_ms: float) -> None:
        self.producer.produce(self.topic, self._encoded(origin, values, event_ms), f"load/{origin}")

    def _produce_many(self, origin: int, repeat: int) -> None:
        value = self._encoded(origin, [1.0] * 1_000, self.start_ms + repeat, "many")
        self.producer.produce(self.topic, value, f"many/{origin}")

    def _memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss) if self.process else 0

    def _caught_up(self) -> None:
        begun = time.perf_counter()
        while any(found.records for found in group_lags(self.settings)):
            _late(begun, "statistics to be handled")
            time.sleep(0.2)


class _Alerts:
    """Reads the alerts topic as it grows."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._codec = codec
        name = topics.ALERTS.full_name(settings.kafka.topic_prefix)
        self._consumer = Consumer(
            client_config(
                settings.kafka,
                group_id="bench",
                enable_auto_commit=False,
                fetch_wait_max_ms=5,
                isolation_level="read_committed",
            )
        )
        self._consumer.assign(
            [TopicPartition(name, number, OFFSET_BEGINNING) for number in range(topics.CONTROL_PARTITIONS)]
        )

    def new(self) -> list[AlertTransition]:
        """Transitions since the last call."""
        messages = self._consumer.consume(10_000, 0.002)
        return [
            self._codec.decode(message.value(), AlertTransition)
            for message in messages
            if not message.error()
        ]


def _taken(found: list[AlertTransition], sent: dict[int, float]) -> list[float]:
    now = time.perf_counter()
    firing = [each for each in found if each.state is AlertState.FIRING and each.event_time_ms in sent]
    return [now - sent.pop(each.event_time_ms) for each in firing if each.event_time_ms in sent]


def _plain_rate(values: list[bytes]) -> float:
    schema = parse(packaged.current("StatisticsBatch").text)
    begun = time.perf_counter()
    hits = 0
    for value in values:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER.size :]), schema, None)
        for series in record["series"][:WATCHED]:
            for sample in series["values"]:
                hits += sample > LIMIT
    if hits != ORIGINS * WATCHED:
        sys.exit(f"the plain loop found {hits} breaches instead of {ORIGINS * WATCHED}")
    return len(values) * SERIES / (time.perf_counter() - begun)


def _origin(mlapp: str, number: int) -> Origin:
    return Origin(
        mlapp_id=mlapp, node_id="predict", pipeline_instance_id=f"pi-{number}", agent_id=f"host-{number}"
    )


def _wait(condition: Any, what: str) -> None:
    begun = time.perf_counter()
    while not condition():
        _late(begun, what)
        time.sleep(0.05)


def _late(begun: float, what: str) -> None:
    if time.perf_counter() - begun > TIMEOUT_S:
        sys.exit(f"not within {TIMEOUT_S:g} s: {what}")


if __name__ == "__main__":
    main()
