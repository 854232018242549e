"""The spool on disk: what waits in it arrives once, whatever dies when, and the host program notices nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import select
import socket
import socketserver
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.mlops._delivery.spool.files import State
from tests.producers.conftest import DEADLINE_S, Component
from tests.producers.unused_port import address_of, unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT_ALL_KINDS = """
from parallelm.mlops import mlops
from parallelm.mlops.stats.table import Table
mlops.init()
for number in range(1000):
    with mlops.event_time(1.5e12 + number, units="millisecond"):
        mlops.set_stat("x", float(number))
with mlops.event_time("2020-01-02T03:04:05"):
    mlops.set_stat(Table().name("t").cols(["a"]).add_row([1]))
    mlops.data_alert("a", "b")
    mlops.set_kpi("k", 2.5)
mlops.done()
print(mlops.dropped())
"""

COLLECT = "import json; from parallelm.mlops import mlops; mlops.init(); mlops.done(); print(json.dumps(mlops.dropped()))"

REPORT_SOME = """
import time
from parallelm.mlops import mlops
mlops.init()
for number in range(20_000):
    mlops.set_stat("x", float(number))
    if number % 1000 == 0:
        time.sleep(0.05)
mlops.done()
print(mlops.dropped())
"""

REPORT_TWICE = """
import time
from parallelm.mlops import mlops
mlops.init()
for number, name in enumerate("xy", start=1):
    mlops.set_stat(name, 1.0)
    while sum(segment.unread for segment in list(mlops._session.opened().output._sender.delivery.spool.own._segments)) < number:
        time.sleep(0.01)
mlops.done()
"""

REPORT_TOO_MUCH = """
import json, time
from parallelm.mlops import mlops
mlops.init()
queue, full = mlops._queue, False
for number in range(100_000):
    mlops.set_stat("x", float(number))
    while len(queue) >= 4000 and not full:
        full = not mlops._session.opened().output._sender.delivery.spool.own.has_room()
        time.sleep(0.002)
mlops.done()
print(json.dumps(mlops.dropped()))
"""

REPORT_LATE = """
import time
from parallelm.mlops import mlops
mlops.init()
for number in range(300_000):
    mlops.set_stat("x", float(number))
while mlops._queue:
    time.sleep(0.01)
print("reported", flush=True)
while mlops._session.opened().output._sender.delivery.spool.own.unsettled:
    time.sleep(0.02)
mlops.done()
print(mlops.dropped())
"""

FORK = """
import os, sys, time
from parallelm.mlops import mlops
def report(name):
    for number in range(100):
        mlops.set_stat("x", float(number))
    while mlops._queue:
        time.sleep(0.01)
    mlops.set_stat("y", 1.0)
    while mlops._queue:
        time.sleep(0.01)
    print(name, flush=True)
    sys.stdin.read()
mlops.init()
mlops.set_stat("z", 1.0)
if os.fork() == 0:
    report("child")
    mlops.done()
    print("child's", mlops.dropped(), flush=True)
    os._exit(0)
report("parent")
"""

REPORT_FOR_EVER = """
import itertools, time
from parallelm.mlops import mlops
mlops.init()
queue = mlops._queue
for number in itertools.count():
    mlops.set_stat("x", float(number))
    if number % 200 == 199:
        while queue:
            time.sleep(0.002)
        print(number, flush=True)
"""
"""Says a number when it has left the queue: once a later one has too, the sender thread has written it."""


@pytest.fixture
def spooling(component: Component) -> Component:
    return with_spool(component)


def with_spool(component: Component, **more: float) -> Component:
    own = dataclasses.replace(
        component.settings.component, spool_folder=str(component.folder / "spool"), **more
    )
    return dataclasses.replace(component, settings=dataclasses.replace(component.settings, component=own))


@pytest.fixture
def no_broker() -> Iterator[socket.socket]:
    with unused_port() as port:
        yield port


def without_broker(component: Component, no_broker: socket.socket) -> Component:
    kafka = dataclasses.replace(component.settings.kafka, bootstrap_servers=address_of(no_broker))
    own = dataclasses.replace(component.settings.component, close_timeout_s=2.0)
    return dataclasses.replace(
        component, settings=dataclasses.replace(component.settings, kafka=kafka, component=own)
    )


def spool_of(component: Component) -> Path:
    return Path(component.settings.component.spool_folder)


def everything(component: Component, topic: str) -> list[Any]:
    """Decoded records of a topic, from the component's first one to the end."""
    consumer = Consumer(client_config(component.settings.kafka, group_id="test", enable_auto_commit=False))
    name = f"{component.settings.kafka.topic_prefix}{topic}"
    try:
        count = sum(
            consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=DEADLINE_S)[1]
            - component.first[name, partition]
            for partition in consumer.list_topics(name, timeout=DEADLINE_S).topics[name].partitions
        )
    finally:
        consumer.close()
    return component.records(topic, lambda found: len(found) >= count)


def kill_after(component: Component, output: int, pause_s: float) -> int:
    """Let a component report and kill it; the last number that it is sure to have written."""
    with component.start(REPORT_FOR_EVER) as process:
        assert process.stdout is not None
        numbers = [int(process.stdout.readline()) for _ in range(output)]
        time.sleep(pause_s)
        process.kill()
        numbers += [int(line) for line in process.stdout.read().splitlines()[:-1]]
        process.wait(60)
    return numbers[-2]


def test_what_was_reported_without_a_broker_is_sent_once_with_its_event_times(
    spooling: Component, no_broker: socket.socket
) -> None:
    assert without_broker(spooling, no_broker).run(REPORT_ALL_KINDS).strip() == "{}"
    assert list(spool_of(spooling).iterdir())
    assert spooling.run(COLLECT, PM_WORKFLOW_NODE_ID="another").strip() == "{}"
    assert list(spool_of(spooling).iterdir()) == []
    pairs = [
        pair
        for batch in everything(spooling, "statistics")
        for series in batch.series
        for pair in zip(series.timestamps_ms, series.values, strict=True)
    ]
    assert pairs == [(1.5e12 + number, float(number)) for number in range(1000)]
    (table,) = spooling.records("structured-statistics", bool)
    (event,) = spooling.records("events", bool)
    (kpis,) = spooling.records("kpis", bool)
    moment_ms = 1_577_934_245_000
    assert [table.event_time_ms, event.event_time_ms, kpis.points[0].timestamp_ms] == 3 * [moment_ms]
    assert {one.origin.node_id for one in (table, event, kpis)} == {"train"}


def test_nothing_is_left_on_disk_while_a_broker_answers(spooling: Component) -> None:
    spooling.run(REPORT_ALL_KINDS)
    assert list(spool_of(spooling).iterdir()) == []
    assert len(spooling.samples("x", 1000)) == 1000


def test_every_written_sample_arrives_once_over_kills_at_any_moment(spooling: Component) -> None:
    """Each round is killed at another moment; the collectors are killed too, before the last one may end."""
    seed = int(os.environ.get("FAULT_SEED", "20130101"))
    print(f"seed {seed}")  # noqa: T201 - to run a failure again
    dice = random.Random(seed)
    written = [kill_after(spooling, dice.randrange(2, 12), dice.random() * 0.3) + 1 for _ in range(4)]
    for _ in range(3):
        with spooling.start(COLLECT) as collector:
            with contextlib.suppress(subprocess.TimeoutExpired):
                collector.wait(0.3 + 2 * dice.random())
            collector.kill()
    spooling.run(COLLECT)
    assert list(spool_of(spooling).iterdir()) == []
    assert_each_once(spooling, written)


def test_what_waits_on_disk_is_sent_by_the_same_process_when_the_broker_comes(
    component: Component, no_broker: socket.socket
) -> None:
    """Memory holds a fraction of it. The way to the broker opens after all was reported."""
    spooling = with_spool(component, queue_max_kbytes=1024)
    absent = without_broker(spooling, no_broker)
    broker = address(component.settings.kafka.bootstrap_servers)
    with absent.start(REPORT_LATE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reported\n"
        with a_way_to(broker, at=no_broker):
            out, error = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (0, "{}\n"), error
    assert_each_once(component, [300_000])


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


@contextlib.contextmanager
def a_way_to(broker: tuple[str, int], at: socket.socket) -> Iterator[None]:
    """Forward what comes in at a socket: enough for a client to learn the broker's own address."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(broker) as there:
                ends = {self.request: there, there: self.request}
                while True:
                    for one in select.select(ends, [], [])[0]:
                        data = one.recv(65_536)
                        if not data:
                            return
                        ends[one].sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(at.getsockname(), Forward, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = at
        server.server_activate()
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def test_processes_share_a_folder_and_take_only_from_the_dead(spooling: Component) -> None:
    with spooling.start(REPORT_FOR_EVER) as living:
        assert living.stdout is not None
        numbers = [int(living.stdout.readline()) for _ in range(3)]
        written = [kill_after(spooling, 3, 0.0) + 1]
        spooling.run(COLLECT)
        assert len([one for one in spool_of(spooling).iterdir() if one.is_dir()]) == 1
        living.kill()
    written.append(numbers[-2] + 1)
    spooling.run(COLLECT)
    assert_each_once(spooling, written)


def test_a_forked_child_has_a_spool_of_its_own_and_holds_no_lock_of_its_parent(
    spooling: Component, no_broker: socket.socket
) -> None:
    with without_broker(spooling, no_broker).start(FORK) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert sorted(parent.stdout.readline() for _ in range(2)) == ["child\n", "parent\n"]
        parent.kill()
        spooling.run(COLLECT)
        assert_each_once(spooling, [100])
        parent.stdin.close()
        assert parent.stdout.read() == "child's {}\n"
    spooling.run(COLLECT)
    assert_each_once(spooling, [100, 100])


def test_all_files_together_stay_within_the_bound(component: Component, no_broker: socket.socket) -> None:
    spooling = with_spool(component, spool_max_mbytes=1, queue_max_samples=5000, queue_max_kbytes=256)
    dropped = json.loads(
        without_broker(spooling, no_broker).run(REPORT_TOO_MUCH, MCENTER_COMPONENT_CLOSE_TIMEOUT_S="0.5")
    )
    files = [file.stat().st_size for file in spool_of(spooling).rglob("*") if file.is_file()]
    assert 800_000 < sum(files) <= 1 << 20
    spooling.run(COLLECT)
    arrived = sum(
        len(series.values) for batch in everything(spooling, "statistics") for series in batch.series
    )
    assert arrived + sum(dropped.values()) == 100_000
    assert set(dropped) <= {"queue_full", "closed"}


def test_a_segment_that_is_cut_or_damaged_is_read_up_to_there_and_counted(
    spooling: Component, no_broker: socket.socket
) -> None:
    for _ in range(2):
        without_broker(spooling, no_broker).run(REPORT_TWICE, MCENTER_COMPONENT_CLOSE_TIMEOUT_S="0.3")
    cut, damaged = sorted(spool_of(spooling).rglob("*.segment"))
    os.truncate(cut, cut.stat().st_size - 5)
    content = bytearray(damaged.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)
    assert json.loads(spooling.run(COLLECT)) == {"spool_damaged": 2}
    arrived = [
        (series.name, series.values)
        for batch in everything(spooling, "statistics")
        for series in batch.series
    ]
    assert [one for one in arrived if one[0] != "mcenter.dropped"] == 2 * [("x", [1.0])]


def test_a_tombstone_among_the_records_holds_nothing_up(
    spooling: Component, no_broker: socket.socket
) -> None:
    without_broker(spooling, no_broker).run(REPORT_ALL_KINDS)
    producer = Producer(client_config(spooling.settings.kafka))
    name = f"{spooling.settings.kafka.topic_prefix}events"
    producer.produce(name, None, "somebody else")
    assert producer.flush(60) == 0
    (state,) = spool_of(spooling).rglob("state.json")
    handed_over = {name: (8, dict.fromkeys(range(8), 0))}
    cluster_id = producer.list_topics(timeout=60).cluster_id
    State(spooling.settings.kafka.topic_prefix, cluster_id, handed_over).save(state.parent)  # type: ignore[arg-type]
    spooling.run(COLLECT)
    assert list(spool_of(spooling).iterdir()) == []


@pytest.mark.parametrize("trouble", ["no folder can be made", "the disk is full"])
def test_a_disk_that_takes_nothing_is_reported_once_and_disturbs_nobody(
    component: Component, trouble: str
) -> None:
    spooling, limit = with_spool(component), ""
    if trouble == "the disk is full":
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    else:
        spool_of(spooling).write_text("a file stands where the folder should be")
    with spooling.start(f"{limit}\n{REPORT_SOME}") as process:
        out, error = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (0, "{}\n"), error
    assert error.count("cannot be written now") == 1
    assert_each_once(component, [20_000])


def assert_each_once(component: Component, written: list[int]) -> None:
    """Of each producer all numbers from 0 on, each once, and no fewer than it has written."""
    by_producer: dict[str, list[float]] = defaultdict(list)
    for batch in everything(component, "statistics"):
        for series in batch.series:
            if series.name == "x":
                by_producer[batch.producer_id] += series.values
    assert len(by_producer) == len(written)
    for values in by_producer.values():
        assert sorted(values) == [float(number) for number in range(len(values))]
    for least, arrived in zip(sorted(written), sorted(map(len, by_producer.values())), strict=True):
        assert arrived >= least
