"""``mcenter sink`` beside ClickHouse's own Kafka engine: same topic, same tables and rollups, rounds in turn.

Both are timed by the rows that a reader sees, from the first to the last, so the first block of each is left out. The
engine runs in chdb 3.6.0, in an environment of its own that is made on demand. With ``python -m benchmarks.sink`` the
shapes and the number of rounds can be chosen.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import psutil
from confluent_kafka import Producer

from benchmarks.kafka_engine import environment
from parallelm.connections import Settings, save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.status import ProcessStatus, stack_status
from parallelm.schemas import topics
from parallelm.schemas.records import Origin
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.statistics_encoder import StatisticsEncoder, series_header
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_driver import Client

ROUNDS = 5
GIVE_UP_AFTER_S = 60.0
"""Without another row."""

POLL_S = 0.1
"""Between two looks at how many rows there are: each takes some of the server's time."""
PEER = Path(environment.__file__).with_name("peer.py")
_COMMENT = re.compile(r"\s*COMMENT '(?:[^'\\]|\\.|'')*'")
"""An older server wants comments in other places."""


class Shape(NamedTuple):
    """What the records look like, and how many there are."""

    series: int
    samples: int
    records: int
    origins: int = 1

    @classmethod
    def of(cls, text: str) -> Self:
        """The shape that is written SERIESxSAMPLESxRECORDS or SERIESxSAMPLESxRECORDSxORIGINS."""
        return cls(*map(int, text.split("x")))

    @property
    def total(self) -> int:
        """Samples in all."""
        return self.series * self.samples * self.records

    def __str__(self) -> str:
        return f"{self.series} x {self.samples}, {self.origins} origin{'s' * (self.origins > 1)}"


SHAPES = (
    Shape(20, 1, 100_000),
    Shape(20, 1, 100_000, 500),
    Shape(5, 20, 60_000),
    Shape(5, 100, 24_000),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one side."""

    rate: float
    cpu_ns: float
    """CPU a sample of all processes that take part but the broker: sinks and server, or the engine."""
    sink_ns: float
    """The sinks' part of it."""
    memory_mb: float


def main() -> None:
    """Print a line for each shape, with rollups and without them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--shape", action="append", type=Shape.of, help="SERIESxSAMPLESxRECORDS[xORIGINS]")
    options.add_argument("--only-sink", action="store_true", help="without the peer")
    options.add_argument("--sinks", type=int, default=1, help="processes that share the partitions")
    options.add_argument("--rollups", choices=("with", "without", "both"), default="both")
    chosen = options.parse_args()
    peer = None if chosen.only_sink else environment.python()
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder), services=("kafka", "clickhouse", "registry"))
        with stack:
            bench = _Bench(Path(folder), stack.admin_settings, peer, chosen.sinks)
            print(_HEADINGS)
            for rollups in {"both": (True, False), "with": (True,), "without": (False,)}[chosen.rollups]:
                for number, shape in enumerate(chosen.shape or SHAPES):
                    bench.compare(shape, rollups=rollups, rounds=chosen.rounds, name=f"{rollups:d}{number}")


_HEADINGS = (
    f"{'series x samples a record':26}{'rollups':>8}{'sink/s':>12}{'engine/s':>12}{'ratio':>7}{'range':>14}"
    f"{'CPU ns':>8}{'of sink':>9}{'engine':>8}{'sink MB':>9}"
)


@dataclass(slots=True)
class _Bench:
    folder: Path
    settings: Settings
    peer: Path | None
    sinks: int

    def compare(self, shape: Shape, *, rollups: bool, rounds: int, name: str) -> None:
        """Fill a topic, empty it with both sides in turn, print the medians."""
        settings = replace(self.settings, kafka=replace(self.settings.kafka, topic_prefix=f"bench{name}."))
        create_topics(settings)
        fill(settings, shape)
        found: list[tuple[Run, Run | None]] = []
        for number in range(rounds):
            ours = self._sink(settings, shape, rollups=rollups, name=f"{name}_{number}")
            found.append((ours, self._engine(settings, shape, rollups=rollups) if self.peer else None))
            _report_round(number, *found[-1])
        _report(shape, found, rollups=rollups)

    def _sink(self, settings: Settings, shape: Shape, *, rollups: bool, name: str) -> Run:
        database = f"bench_{name}"
        settings = replace(settings, clickhouse=replace(settings.clickhouse, database=database))
        migrate(settings)
        save_settings(settings, self.folder / "bench.toml")
        environ = os.environ | {"MCENTER_CONFIG": str(self.folder / "bench.toml")}
        command = [
            sys.executable,
            "-m",
            "parallelm.mcenter",
            "sink",
            "--topics",
            "statistics",
            "--group",
            database,
        ]
        with clickhouse_client(settings.clickhouse) as client, (self.folder / "sink.log").open("ab") as log:
            if not rollups:
                _drop_rollups(client)
            processes = [
                psutil.Popen(command, env=environ, stdout=log, stderr=log) for _ in range(self.sinks)
            ]
            try:
                run = _watch(client, shape.total, processes, self._process("clickhouse"))
                _check(client, shape, rollups=rollups)
            finally:
                for process in processes:
                    process.terminate()
                    process.wait(30)
            client.execute(f"DROP DATABASE {database} SYNC")
        return run

    def _engine(self, settings: Settings, shape: Shape, *, rollups: bool) -> Run:
        settings = replace(settings, clickhouse=replace(settings.clickhouse, database="bench_tables"))
        migrate(settings)
        tables = self.folder / "tables.json"
        with clickhouse_client(settings.clickhouse) as client:
            tables.write_text(json.dumps(_statements(client, rollups=rollups)))
        topic = topics.STATISTICS.full_name(settings.kafka.topic_prefix)
        address = (settings.kafka.bootstrap_servers, topic, self._registry(), str(shape.total), str(tables))
        done = subprocess.run(
            [str(self.peer), str(PEER), *address], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"the engine failed: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        if found["rows"] != shape.total:
            raise SystemExit(f"the engine stored {found['rows']} of {shape.total}: {found.get('error')}")
        return Run(found["rate"], found["cpu_s"] / shape.total * 1e9, 0.0, found["memory_bytes"] / 1e6)

    def _registry(self) -> str:
        return f"http://{self._status('registry').address}"

    def _process(self, name: str) -> psutil.Process:
        return psutil.Process(self._status(name).pid)

    def _status(self, name: str) -> ProcessStatus:
        return next(each for each in stack_status(self.folder).processes if each.name == name)


def fill(settings: Settings, shape: Shape) -> None:
    """Produce the records of a shape, spread over the partitions."""
    producer = Producer(
        client_config(settings.kafka, linger_ms=20, compression_type="lz4", partitioner="murmur2_random")
    )
    topic, start_ms = topics.STATISTICS.full_name(settings.kafka.topic_prefix), time.time() * 1000
    headers = [
        series_header(SeriesKey(f"stat.{number}", "model-1", labels=(("carrier", "UA"),)))
        for number in range(shape.series)
    ]
    encoders = [
        StatisticsEncoder(PackagedRegistry(), _origin(origin), f"{origin:032x}")
        for origin in range(shape.origins)
    ]
    for record in range(shape.records):
        origin = record % shape.origins
        times = array("d", [start_ms + 100 * record + place for place in range(shape.samples)])
        values = array("d", [record + place / 7 for place in range(shape.samples)])
        for header in headers:
            encoders[origin].add(header, times, values)
        key = f"origin {origin if shape.origins > 1 else record % 64}"
        data = encoders[origin].take(record // shape.origins)
        while True:
            try:
                producer.produce(topic, data, key)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)


def _origin(number: int) -> Origin:
    return Origin(
        mlapp_id="flight-delays",
        node_id="predict",
        pipeline_instance_id=f"pi-{number}",
        agent_id=f"host-{number}",
    )


def _watch(client: Client, total: int, sinks: Sequence[psutil.Process], server: psutil.Process) -> Run:
    """Rows a second from the first that a reader sees to the last, and what the sinks took for them."""
    count = first_count = 0
    first_s = last_s = time.perf_counter()
    first_cpu_s = first_sink_s = 0.0
    while count < total:
        before, [(count,)] = count, client.execute("SELECT count() FROM statistics")
        if count > before:
            last_s = time.perf_counter()
            if not before:
                first_s, first_count = last_s, count
                first_cpu_s, first_sink_s = _cpu_s([*sinks, server]), _cpu_s(sinks)
        elif time.perf_counter() - last_s > GIVE_UP_AFTER_S:
            raise SystemExit(f"the sink stored {count} of {total} samples; see its log")
        time.sleep(POLL_S)
    rows = max(1, count - first_count)
    cpu_ns = (_cpu_s([*sinks, server]) - first_cpu_s) / rows * 1e9
    sink_ns = (_cpu_s(sinks) - first_sink_s) / rows * 1e9
    return Run(rows / max(last_s - first_s, 1e-9), cpu_ns, sink_ns, max(map(_peak_bytes, sinks)) / 1e6)


def _check(client: Client, shape: Shape, *, rollups: bool) -> None:
    [found] = client.execute(
        "SELECT count(), uniqExact(_partition, _offset, _series, _index), sum(value) FROM statistics"
    )
    of_record = shape.samples * (shape.samples - 1) / 2 / 7
    summed = shape.series * (
        shape.samples * shape.records * (shape.records - 1) / 2 + of_record * shape.records
    )
    if found[:2] != (shape.total, shape.total) or abs(found[2] - summed) > 1e-6 * summed:
        raise SystemExit(f"the sink stored {found}, not {shape.total} samples of sum {summed}")
    if rollups:
        [(rolled_up,)] = client.execute("SELECT sum(samples) FROM statistics_by_day")
        if rolled_up != shape.total:
            raise SystemExit(f"the sink rolled {rolled_up} of {shape.total} samples up")


def _drop_rollups(client: Client) -> None:
    for name, _ in _tables(client, "MaterializedView"):
        client.execute(f"DROP VIEW {name}")


def _statements(client: Client, *, rollups: bool) -> list[str]:
    """What creates the tables that samples go to, in order, for a database named ``peer``."""
    kinds = ("MergeTree", "MaterializedView", "View") if rollups else ("MergeTree",)
    found = []
    for kind in kinds:
        for _, create in _tables(client, kind):
            found.append(_COMMENT.sub("", create).replace("bench_tables.", "peer."))
    return found


def _tables(client: Client, kind: str) -> list[tuple[str, str]]:
    pattern = f"%{kind}" if kind == "MergeTree" else kind
    names = "statistics%" if kind == "MergeTree" else "statistics_by%"
    found: list[tuple[str, str]] = client.execute(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() "
        "AND name LIKE %(names)s AND engine LIKE %(pattern)s ORDER BY name",
        {"pattern": pattern, "names": names},
    )
    return found


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def _peak_bytes(process: psutil.Process) -> int:
    """Memory that it has had at the most."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(peak[1]) * 1024 if peak else 0


def _report_round(number: int, ours: Run, engine: Run | None) -> None:
    peer = f", engine {engine.rate:,.0f}/s, ratio {ours.rate / engine.rate:.2f}" if engine else ""
    print(f"  round {number + 1}: sink {ours.rate:,.0f}/s{peer}", file=sys.stderr, flush=True)


def _report(shape: Shape, found: list[tuple[Run, Run | None]], *, rollups: bool) -> None:
    ours = [run for run, _ in found]
    engine = [run for _, run in found if run]
    ratios = [run.rate / peer.rate for run, peer in found if peer] or [float("nan")]
    median = statistics.median
    print(
        f"{shape!s:26}{'yes' if rollups else 'no':>8}{median(each.rate for each in ours):12,.0f}"
        f"{median(each.rate for each in engine) if engine else 0:12,.0f}{median(ratios):7.2f}"
        f"{f'{min(ratios):.2f}-{max(ratios):.2f}':>14}{median(each.cpu_ns for each in ours):8,.0f}"
        f"{median(each.sink_ns for each in ours):9,.0f}{median(each.cpu_ns for each in engine) if engine else 0:8,.0f}"
        f"{max(each.memory_mb for each in ours):9,.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
