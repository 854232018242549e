"""What stops a worker, what is seen of one that does nothing, and records that it must not take as they are."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from parallelm.schemas.packaged import RESERVED_IDS
from parallelm.schemas.records import ProcessorState
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topics import (
    ALERTS,
    CONTROL_PARTITIONS,
    DEAD_LETTERS,
    DEPLOYMENTS,
    EVENTS,
    MLAPP_STATE,
    MODELS,
    STATISTICS,
)
from parallelm.schemas.wire import HEADER, MAGIC
from parallelm.stream_processors.runtime.dead_letters import MAX_RUN
from parallelm.supervision.ports import choose_ports
from parallelm.supervision.probes import http_answers, metric_is_at_most
from parallelm.supervision.service_frame import METRICS_PORT
from tests.service_process import ServiceProcess
from tests.waiting import DEADLINE_S, wait_for

from .faults.fleet import FleetWorker
from .live import DEFINITION, Cluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from confluent_kafka import Producer

    from parallelm.schemas.records import DeadLetter

ENDS_S = 15
"""Within so many seconds a worker that cannot go on has ended: its own limit for a clean stop is 10."""
AGE = "mcenter_processors_progress_age_seconds"


def states(cluster: Cluster) -> list[str]:
    return [found.state.value for found in cluster.read(DEPLOYMENTS)]


# ---- stops by design --------------------------------------------------------------------------------------------


def unknown_schema(cluster: Cluster) -> None:
    header = HEADER.pack(MAGIC, RESERVED_IDS[-1])
    cluster.send_bytes(MODELS, cluster.mlapp.encode(), header + b"from a newer version")


def state_of_a_newer_version(cluster: Cluster) -> None:
    state = ProcessorState(kind="deployments", mlapp_id="app", name="", version=99, body="{}")
    for partition in range(CONTROL_PARTITIONS):
        cluster.producer.produce(
            cluster.name(MLAPP_STATE), cluster.codec.encode(state), b'["deployments", "app", ""]', partition
        )


def nothing_but_dead_letters(cluster: Cluster) -> None:
    for _ in range(MAX_RUN + 1):
        cluster.send_bytes(EVENTS, cluster.mlapp.encode(), b"no avro")


STOPS = {
    unknown_schema: f"no schema with id {RESERVED_IDS[-1]}",
    state_of_a_newer_version: "a newer version (99) wrote it",
    nothing_but_dead_letters: f"{MAX_RUN} records in a row failed",
}


@pytest.mark.parametrize("spoil", STOPS)
def test_a_worker_that_cannot_go_on_ends_and_says_why(
    own: Cluster, tmp_path: Path, spoil: Callable[[Cluster], None]
):
    worker = FleetWorker(own.settings, tmp_path / "worker")
    with worker.gone_at_the_end():
        if spoil is state_of_a_newer_version:
            spoil(own)
            own.flush()
            worker.start(wait=False)
            wait_for(lambda: "gives up" in worker.log())
        else:
            worker.start()
            spoil(own)
            own.flush()
        assert worker.child.wait(ENDS_S) == 1
        last = worker.log().splitlines()[-1]
        assert last.startswith("Error: the processors stopped: "), last
        assert STOPS[spoil] in last


# ---- health -----------------------------------------------------------------------------------------------------


def idle_worker(cluster: Cluster, folder: Path, port: int, **environ: str) -> ServiceProcess:
    return ServiceProcess(
        folder,
        *("processors", "--session-timeout-s", "3"),
        settings=cluster.settings,
        module="tests.stream_processors.idle_worker",
        environ={**os.environ, METRICS_PORT: str(port), **environ},
    )


def progress_age_s(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        (found,) = re.findall(rf"^{AGE} (\S+)$", response.read().decode(), re.MULTILINE)
    return float(found)


def test_a_worker_that_does_nothing_is_seen_by_its_health_and_ended_by_its_watchdog(
    own: Cluster, tmp_path: Path
):
    port = choose_ports({"metrics": None}, {})["metrics"]
    with idle_worker(own, tmp_path / "idle", port, STUCK_S="8") as worker:
        own.apply(DEFINITION)
        own.flush()
        wait_for(lambda: progress_age_s(port) > 5, "it makes no progress")
        assert http_answers(port, "/metrics"), "it looks alive"
        assert not metric_is_at_most(port, AGE, 5), "what the local stack asks"
        assert worker.process is not None
        assert worker.process.wait(ENDS_S) == 1
        assert "has made no progress for" in worker.log().splitlines()[-1]


def test_a_worker_that_has_nothing_to_do_is_healthy(own: Cluster, tmp_path: Path):
    port = choose_ports({"metrics": None}, {})["metrics"]
    worker = FleetWorker(own.settings, tmp_path / "worker", metrics_port=port)
    with worker:
        ages, ends = [], time.monotonic() + 6
        while time.monotonic() < ends:
            ages.append(progress_age_s(port))
        assert max(ages) < 5


def test_a_worker_that_stands_still_is_unhealthy(own: Cluster, tmp_path: Path):
    port = choose_ports({"metrics": None}, {})["metrics"]
    with FleetWorker(own.settings, tmp_path / "worker", metrics_port=port) as worker:
        assert metric_is_at_most(port, AGE, 60)
        worker.pause()
        assert not metric_is_at_most(port, AGE, 60)
        worker.resume()
        assert metric_is_at_most(port, AGE, 60)


# ---- topics and records -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_that_is_made_again_is_read_from_its_start(own: Cluster, tmp_path: Path, running: bool):
    own.apply(DEFINITION)
    with FleetWorker(own.settings, tmp_path / "worker") as worker:
        for _ in range(300):
            own.statistic(1, "share", 0.1)
        own.statistic(2, "share", 0.9)
        own.flush()
        wait_for(lambda: len(own.read(ALERTS)) == 1, "it works")
        if not running:
            assert worker.terminate() == 0
        own.admin.delete_topics([own.name(STATISTICS)])[own.name(STATISTICS)].result(DEADLINE_S)
        wait_for(lambda: own.name(STATISTICS) not in own.admin.list_topics(timeout=60).topics)
        create_topics(own.settings, timeout_s=DEADLINE_S)
        if running:
            assert worker.child.wait(60) == 1
            assert "was deleted" in worker.log().splitlines()[-1] or "exist" in worker.log().splitlines()[-1]
        worker.start()
        for _ in range(200):
            own.statistic(10, "share", 0.9, labels={"new": "yes"})
        own.flush()
        found = wait_for(
            lambda: [each for each in own.read(ALERTS) if each.labels.get("new")], "the new records fire"
        )
        assert [each.state.value for each in found] == ["firing"]


@dataclass
class Diverting:
    """A producer that sends each record under another key, and once to each partition."""

    producer: Producer
    other_key: bytes
    sent: set[tuple[str, bytes]] = field(default_factory=set)

    def produce(self, topic: str, *, key: bytes, value: bytes) -> None:
        self.sent.add((topic, value))
        self.producer.produce(topic, key=self.other_key, value=value)
        for partition in range(CONTROL_PARTITIONS):
            self.producer.produce(topic, key=key, value=value, partition=partition)


def test_a_record_with_a_key_that_is_not_its_mlapp_or_on_another_partition_is_a_dead_letter(
    own: Cluster, tmp_path: Path
):
    own.apply(DEFINITION)
    with FleetWorker(own.settings, tmp_path / "worker"):
        diverting = Diverting(own.producer, b"another-app")
        writer = replace(own)
        writer.producer = cast("Producer", diverting)
        writer.model(1, "m1")
        writer.event(1, "GenericDataAlert", is_alert=True)
        own.flush()
        wait_for(lambda: states(own) == ["requested"], "the one on its own partition is handled")
        wait_for(lambda: len(own.read(ALERTS)) == 1)

        for topic in (MODELS, EVENTS):
            own.mlapp = own.name(topic)  # the key of dead letters
            # One of the right key on each of the other partitions, and one of another key.
            letters = partial(own.read, DEAD_LETTERS)
            wait_for(lambda count=letters: len(count()) == CONTROL_PARTITIONS, letters)  # type: ignore[misc]
            found: list[DeadLetter] = letters()
            assert {letter.stage for letter in found} == {"validate"}
            assert {letter.value for letter in found} == {
                value for name, value in diverting.sent if name == own.mlapp
            }
    own.mlapp = "app"
    assert (len(states(own)), len(own.read(ALERTS))) == (1, 1)


def test_time_does_not_overtake_a_backlog(own: Cluster, tmp_path: Path):
    own.apply(DEFINITION + "policy: {model_policy: always_update, accept_timeout: 4s}\n")
    with FleetWorker(own.settings, tmp_path / "worker") as worker:
        own.model(1, "m1")
        own.flush()
        wait_for(lambda: states(own) == ["requested"], "m1 is requested")
        requested = time.monotonic()
        worker.kill()
        for _ in range(3_000):
            own.event(1, "GenericEvent")
        own.accept(2, "m1")
        own.flush()
        assert time.monotonic() - requested < 4, "it is accepted in time"
        wait_for(lambda: time.monotonic() - requested > 5, "its time is over")
        worker.start()
        wait_for(lambda: len(states(own)) >= 3, lambda: states(own))
        assert states(own) == ["requested", "accepted", "active"]
        # And time goes on: what nobody accepts fails.
        own.model(3, "m2")
        own.flush()
        wait_for(lambda: states(own)[3:] == ["requested", "failed"], lambda: states(own))
