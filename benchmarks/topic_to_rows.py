"""Samples a second from the statistics topic to rows, the rollup behind them, beside a plain sink with flat columns.

The plain sink decodes with fastavro and inserts a row a sample, columnar, times as integers: what one writes who does
not slice. (ClickHouse's own Kafka engine cannot be the peer here: it does not start in chdb 26.9.) A broker and an
engine of its own are started; ``MCENTER_BENCH_CONFIG`` names the mcenter.toml of running ones to use instead.
"""

from __future__ import annotations

import dataclasses
import io
import os
import resource
import statistics
import tempfile
import threading
import time
import uuid
from array import array
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
from confluent_kafka import Consumer, Producer
from prometheus_client import CollectorRegistry

from parallelm.connections import Settings, load_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.schemas import packaged, topics
from parallelm.schemas.codec import parse
from parallelm.schemas.records import Origin
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.statistics_encoder import StatisticsEncoder, series_header
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.wire import HEADER
from parallelm.sinks import Sink, SinkMetrics, SinkOptions
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 15_000
SERIES_A_RECORD = 5
SAMPLES_A_SERIES = 20
SAMPLES = RECORDS * SERIES_A_RECORD * SAMPLES_A_SERIES
ROUNDS = 3
PLAIN_BATCH = 2_000
"""Records that the plain sink collects before an insert: 200 000 rows."""


def main() -> None:
    """Fill a topic, empty it with both sinks in turn, print the medians and their ratio."""
    with ExitStack() as opened:
        settings = _running(opened)
        _fill(settings)
        print(
            f"{SAMPLES} samples in records of {SERIES_A_RECORD * SAMPLES_A_SERIES}, the rollup by day behind both"
        )
        found: dict[str, list[tuple[float, float]]] = {"our sink": [], "plain sink": []}
        for number in range(ROUNDS):
            for name, run in (("our sink", _ours), ("plain sink", _plain)):
                found[name].append(_timed(settings, f"{name.split()[0]}{number}", run))
        rates = {}
        for name, rounds in found.items():
            rates[name] = statistics.median(SAMPLES / wall_s for wall_s, _ in rounds)
            cpu_ns = statistics.median(cpu_s / SAMPLES * 1e9 for _, cpu_s in rounds)
            print(f"{name:12} {rates[name]:12,.0f} samples/s   {cpu_ns:6.0f} ns of client CPU a sample")
        print(f"ratio {rates['our sink'] / rates['plain sink']:.1f}")


def _running(opened: ExitStack) -> Settings:
    config = os.environ.get("MCENTER_BENCH_CONFIG")
    if config:
        settings = load_settings({}, file=Path(config), role="admin")
    else:
        from parallelm.mcenter.local_stack import LocalStack

        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        settings = opened.enter_context(LocalStack(folder, services=("kafka", "clickhouse"))).admin_settings
    prefix = f"bench{uuid.uuid4().hex[:8]}."
    settings = dataclasses.replace(settings, kafka=dataclasses.replace(settings.kafka, topic_prefix=prefix))
    create_topics(settings)
    return settings


def _fill(settings: Settings) -> None:
    origin = Origin(
        mlapp_id="flight-delays", node_id="predict", pipeline_instance_id="pi-1", agent_id="host-7"
    )
    encoder = StatisticsEncoder(PackagedRegistry(), origin, uuid.uuid4().hex)
    headers = [
        series_header(SeriesKey(f"stat.{number}", "model-1", labels=(("carrier", "UA"),)))
        for number in range(SERIES_A_RECORD)
    ]
    topic = topics.STATISTICS.full_name(settings.kafka.topic_prefix)
    producer = Producer(client_config(settings.kafka, linger_ms=20, compression_type="lz4"))
    start_ms = time.time() * 1000
    for seq in range(RECORDS):
        times = array("d", [start_ms + 100 * seq + place for place in range(SAMPLES_A_SERIES)])
        values = array("d", [seq + place / 7 for place in range(SAMPLES_A_SERIES)])
        for header in headers:
            encoder.add(header, times, values)
        producer.produce(topic, encoder.take(seq), f"origin {seq % 64}")
        producer.poll(0)
    producer.flush(60)


def _timed(settings: Settings, name: str, run: Callable[[Settings, str], _Start]) -> tuple[float, float]:
    """``(seconds, CPU seconds of this process)`` of one run into a database of its own, from the assignment on."""
    fresh = dataclasses.replace(settings.clickhouse, database=f"bench_{name}_{uuid.uuid4().hex[:6]}")
    settings = dataclasses.replace(settings, clickhouse=fresh)
    migrate(settings)
    started_s, before = run(settings, name)
    wall_s = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_SELF)
    client = clickhouse_client(settings.clickhouse)
    [(rows,)] = client.execute("SELECT count() FROM statistics")
    [(rolled_up,)] = client.execute("SELECT sum(samples) FROM statistics_by_day")
    client.execute(f"DROP DATABASE {fresh.database}")
    client.disconnect()
    if (rows, rolled_up) != (SAMPLES, SAMPLES):
        raise SystemExit(f"{name} stored {rows} samples and rolled up {rolled_up} of {SAMPLES}")
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


_Start = tuple[float, resource.struct_rusage]


def _start() -> _Start:
    return time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)


def _ours(settings: Settings, group: str) -> _Start:
    stop = threading.Event()
    starts: list[_Start] = []
    metrics = SinkMetrics(CollectorRegistry())
    options = SinkOptions(topics=[topics.STATISTICS], group=f"{settings.kafka.topic_prefix}{group}")
    sink = Sink(settings, options, metrics, on_assigned=lambda: starts.append(_start()))
    thread = threading.Thread(target=sink.run, args=(stop,))
    thread.start()
    labels = {"topic": topics.STATISTICS.full_name(settings.kafka.topic_prefix)}
    while (
        thread.is_alive() and metrics.registry.get_sample_value("mcenter_sink_rows_total", labels) != SAMPLES
    ):
        time.sleep(0.005)
    stop.set()
    thread.join()
    return starts[0]


def _plain(settings: Settings, group: str) -> _Start:
    schema = parse(packaged.current("StatisticsBatch").text)
    consumer = Consumer(
        client_config(
            settings.kafka,
            group_id=f"{settings.kafka.topic_prefix}{group}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
    )
    topic = topics.STATISTICS.full_name(settings.kafka.topic_prefix)
    starts: list[_Start] = []
    consumer.subscribe([topic], on_assign=lambda *_: starts.append(_start()))
    client = clickhouse_client(settings.clickhouse)
    left = RECORDS
    while left:
        messages: list[Any] = []
        while len(messages) < min(left, PLAIN_BATCH):
            messages += consumer.consume(min(left, PLAIN_BATCH) - len(messages), 0.2)
        _insert_flat(client, messages, schema, topic)
        consumer.commit(asynchronous=False)
        left -= len(messages)
    consumer.close()
    client.disconnect()
    return starts[0]


def _insert_flat(client: Any, messages: list[Any], schema: Any, topic: str) -> None:
    columns: dict[str, list[Any]] = {name: [] for name in _FLAT}
    for message in messages:
        body = io.BytesIO(message.value())
        body.seek(HEADER.size)
        batch: Any = fastavro.schemaless_reader(body, schema, None)
        origin = batch["origin"]
        for number, series in enumerate(batch["series"]):
            count = len(series["values"])
            columns["event_time"] += map(int, series["timestamps_ms"])
            columns["value"] += series["values"]
            columns["_index"] += range(count)
            constants = {
                **origin,
                **{name: series[name] for name in ("name", "model_id", "category", "graph_type", "labels")},
                "producer_id": batch["producer_id"],
                "seq": batch["seq"],
                "ingested_at": message.timestamp()[1],
                "_topic": topic,
                "_partition": message.partition(),
                "_offset": message.offset(),
                "_series": number,
            }
            for name, value in constants.items():
                columns[name] += [value] * count
    names = ", ".join(columns)
    client.execute(f"INSERT INTO statistics ({names}) VALUES", list(columns.values()), columnar=True)


_FLAT = (
    "mlapp_id",
    "node_id",
    "pipeline_instance_id",
    "agent_id",
    "name",
    "model_id",
    "category",
    "graph_type",
    "labels",
    "producer_id",
    "seq",
    "event_time",
    "value",
    "ingested_at",
    "_topic",
    "_partition",
    "_offset",
    "_series",
    "_index",
)

if __name__ == "__main__":
    main()
