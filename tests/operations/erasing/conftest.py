"""A platform with MLApps that have something everywhere: ``stays`` is never erased, each test has another one that is."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.definitions.matchers import Matcher
from parallelm.operations import model_files
from parallelm.operations.authors import Author
from parallelm.operations.captures import CaptureRecord, CaptureState
from parallelm.operations.captures.store import CaptureStore
from parallelm.operations.lag import group_lags
from parallelm.operations.silences import add_silence
from parallelm.schemas.topics import (
    ACTUALS,
    AGENTS,
    KPIS,
    LOGS,
    NOTIFICATIONS,
    PREDICTIONS,
    RUNS,
    STRUCTURED_STATISTICS,
    origin_key,
)
from parallelm.schemas.well_known import UNVERIFIED_LOCAL_USER
from parallelm.server.accounts import answered_requests, people, tasks
from parallelm.server.accounts.database import Database
from parallelm.server.accounts.tasks import Order
from tests.conftest import settings_of_a_test
from tests.service_process import ServiceProcess
from tests.sinks import samples
from tests.stream_processors.live import DEFINITION, Cluster, Worker
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.schemas.records import AgentState
    from tests.made_once import MadeOnce

ADA = Author("ada", UNVERIFIED_LOCAL_USER)


@dataclass
class Platform:
    """Its settings and processes."""

    settings: Settings
    sink: ServiceProcess
    processors: Worker

    def settle(self) -> None:
        """Wait until everything that was sent is handled and stored."""
        wait_for(lambda: not self._behind(), lambda: f"lag: {self._behind()}")

    def _behind(self) -> dict[str, int]:
        prefix = self.settings.kafka.topic_prefix
        return {
            lag.group: lag.records
            for lag in group_lags(self.settings)
            if lag.group.startswith(prefix) and lag.records
        }

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with clickhouse_client(self.settings.clickhouse) as client:
            found: list[tuple[object, ...]] = client.execute(query)
            return found


@pytest.fixture(scope="module")
def platform(
    stack: Settings, made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("erasing")
    with settings_of_a_test(stack, folder) as own, made_once.lent(own) as filled:
        server = dataclasses.replace(own.server, database_url=f"sqlite:///{folder / 'server.db'}")
        settings = dataclasses.replace(filled, server=server)
        sink = ServiceProcess(folder / "sink", "sink", settings=settings)
        with sink, Worker(settings, folder / "processors") as processors:
            made = Platform(settings, sink, processors)
            fill(made, "stays", folder)
            yield made


@pytest.fixture
def gone(platform: Platform, tmp_path: Path) -> str:
    """Id of an MLApp of this test's own."""
    mlapp_id = f"gone-{uuid.uuid4().hex[:6]}"
    fill(platform, mlapp_id, tmp_path)
    return mlapp_id


def customer(mlapp_id: str) -> str:
    """Value of a label that rows of this MLApp have."""
    return f"of-{mlapp_id}"


def fill(platform: Platform, mlapp_id: str, folder: Path) -> None:
    """Something of an MLApp in every place."""
    settings = platform.settings
    cluster = Cluster(settings, mlapp_id)
    cluster.apply(DEFINITION)
    for day in range(3):
        cluster.statistic(day, "share", 0.9, labels={"customer": customer(mlapp_id)})
        cluster.score(day, 0.2, model="m1")
    cluster.model(0, "m1")
    cluster.event(1, "GenericDataAlert", is_alert=True)
    origin = cluster.origin()
    for topic, record, key in (
        (STRUCTURED_STATISTICS, dataclasses.replace(samples.structured(), origin=origin), origin_key(origin)),
        (
            PREDICTIONS,
            dataclasses.replace(samples.predictions(["1"], scores=[0.5]), origin=origin),
            origin_key(origin),
        ),
    ):
        cluster.send_bytes(topic, key, cluster.codec.encode(record))
    for topic, record in (
        (RUNS, samples.run_transition("running", mlapp_id=mlapp_id)),
        (LOGS, samples.log_lines(f"scores {mlapp_id}", origin=origin)),
        (ACTUALS, samples.actuals({"1": "0"}, origin=origin)),
        (NOTIFICATIONS, dataclasses.replace(samples.notification(), mlapp_ids=[mlapp_id], body=mlapp_id)),
        (AGENTS, agent_that_runs(mlapp_id)),
    ):
        cluster.send_bytes(topic, topic.key(record), cluster.codec.encode(record))
    cluster.send_bytes(KPIS, mlapp_id.encode(), b"no record")
    # Of an agent: its key does not say which MLApp it is about.
    cluster.send_bytes(AGENTS, b"host-9", bytes([len(mlapp_id) * 2]) + mlapp_id.encode())
    cluster.flush()
    platform.settle()
    cluster.accept(1, "m1")
    cluster.flush()
    file = folder / f"{mlapp_id}.json"
    file.write_text("{}")
    new = model_files.NewModel(name="by hand", format="Json", file_name="m.json", node_id="train")
    model_files.upload_model(settings, mlapp_id, file, new, who=ADA)
    store_capture(settings, mlapp_id)
    add_silence(
        settings,
        [Matcher("mlapp", "=", mlapp_id)],
        ends_at_ms=time.time_ns() // 1_000_000 + 86_400_000,
        who=ADA,
        comment="",
    )
    database = Database(settings.server.database_url)
    with database.writing() as sql:
        people.create(
            sql, f"viewer-{uuid.uuid4().hex[:8]}", 1, grants=[("viewer", mlapp_id), ("viewer", "other")]
        )
    key = uuid.uuid4().hex
    answered_requests.hold(database, key, "", time.time_ns() // 1_000_000, 1_000)
    answered_requests.answer(
        database, key, json.dumps({"mlapp_id": mlapp_id, "customer": customer(mlapp_id)})
    )
    for kind, ended in (
        ("imports", {"result": {"mlapp_id": mlapp_id}}),
        ("looks", {"reason": f"cannot read {customer(mlapp_id)!r}"}),
    ):
        order = Order(kind=kind, about="capture c", asked_by="ada", mlapp_id=mlapp_id)
        tasks.end(
            database,
            tasks.begin(database, order, time.time_ns() // 1_000_000),
            time.time_ns() // 1_000_000,
            **ended,
        )
    database.close()
    platform.settle()


def agent_that_runs(mlapp_id: str) -> AgentState:
    state = samples.agent(agent_id=f"host-{uuid.uuid4().hex[:6]}")
    pipelines = [dataclasses.replace(each, mlapp_id=mlapp_id) for each in state.pipelines]
    return dataclasses.replace(state, pipelines=pipelines)


def store_capture(settings: Settings, mlapp_id: str) -> None:
    """A capture, as its maker leaves it."""
    record = CaptureRecord(
        capture_id=f"c-{mlapp_id}",
        name="c",
        mlapp_id=mlapp_id,
        start_ms=0,
        end_ms=time.time_ns() // 1_000_000,
        created_by="ada",
        created_at_ms=time.time_ns() // 1_000_000,
        state=CaptureState.COMPLETE,
    )
    store = CaptureStore(settings)
    store.write(record)
    with store.open_to_write(record) as file:
        file.write(f"rows of {customer(mlapp_id)}".encode())
