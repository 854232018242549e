"""Components as users run them: processes of their own, on the real broker."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import AdminClient, OffsetSpec

from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topic_admin import log_offsets
from parallelm.schemas.topics import CATALOGUE
from parallelm.supervision.die_with_parent import killed_with_us
from tests.service_process import ServiceProcess
from tests.waiting import Deadline, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic
    from tests.made_once import MadeOnce

DEADLINE_S = 120.0
"""For what takes a second or two: a busy machine may take many times as long, and a test that passes does not wait."""

PATIENCE_S = 60.0
"""``close_timeout_s`` where a broker is up, but may be slow to say so. What ends sooner without one, tests say themselves."""

COMPONENT_ENVIRONMENT = {
    "PM_MLOPS_MODE": "agent",
    "PM_WORKFLOW_INSTANCE_ID": "app",
    "PM_WORKFLOW_NODE_ID": "train",
    "PM_PIPELINE_INSTANCE_ID": "pipeline-1",
    "AGENT_PUBLIC_ADDRESS": "host-1",
}


@dataclass(frozen=True)
class Component:
    """Runs component programs and reads what arrives."""

    settings: Settings
    folder: Path
    first: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Topic and partition to the offset from which on they are this component's; from the start unless it is here."""

    def environment(self, **more: str) -> dict[str, str]:
        config = self.folder / "component.toml"
        save_settings(self.settings, config)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("MCENTER_", "PM_"))
        }
        return inherited | COMPONENT_ENVIRONMENT | {"MCENTER_CONFIG": str(config)} | more

    def start(self, program: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            killed_with_us(sys.executable, "-X", "faulthandler", "-c", program),
            env=self.environment(**environment),
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, *, timeout_s: float = DEADLINE_S, **environment: str) -> str:
        """Standard output of a component that must end well."""
        with self.start(program, **environment) as process:
            out, error = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, f"{out}\n{error}"
        return out

    def records(
        self, topic: str, enough: Callable[[list[Any]], bool], *, timeout_s: float = DEADLINE_S
    ) -> list[Any]:
        """Decoded records of a topic, read from the first one on until there are ``enough``."""
        from confluent_kafka import Consumer, TopicPartition

        codec = Codec(PackagedRegistry())
        name = f"{self.settings.kafka.topic_prefix}{topic}"
        consumer = Consumer(
            client_config(self.settings.kafka, group_id=f"{name}-test", enable_auto_commit=False)
        )
        found: list[Any] = []
        try:
            partitions = consumer.list_topics(name, timeout=DEADLINE_S).topics[name].partitions
            consumer.assign(
                [
                    TopicPartition(name, partition, self.first.get((name, partition), 0))
                    for partition in partitions
                ]
            )
            deadline = Deadline(timeout_s)
            while not enough(found):
                deadline.check(lambda: f"only {len(found)} records on {topic}")
                for message in consumer.consume(500, timeout=0.2):
                    assert message.error() is None, message.error()
                    found.append(codec.decode(message.value()))
        finally:
            consumer.close()
        return found

    def samples(self, name: str, count: int, *, timeout_s: float = DEADLINE_S) -> list[tuple[float, float]]:
        """(event time in ms, value) of the samples of one statistic, waiting for ``count`` of them."""

        def of(batches: list[Any]) -> list[tuple[float, float]]:
            return [
                pair
                for batch in batches
                for series in batch.series
                if series.name == name
                for pair in zip(series.timestamps_ms, series.values, strict=True)
            ]

        return of(self.records("statistics", lambda found: len(of(found)) >= count, timeout_s=timeout_s))


@pytest.fixture(scope="module")
def topics_of_the_module(made_once: MadeOnce, stack: Settings) -> Iterator[Settings]:
    """Settings with topics."""
    with made_once.lent(stack, tables=False) as settings:
        yield settings


@pytest.fixture
def component(topics_of_the_module: Settings, tmp_path: Path) -> Component:
    """With folders of its own; what other tests have left on the topics lies before its ``first``."""
    settings = dataclasses.replace(
        topics_of_the_module,
        artifacts=dataclasses.replace(topics_of_the_module.artifacts, url=(tmp_path / "artifacts").as_uri()),
        component=dataclasses.replace(
            topics_of_the_module.component, outbox_folder=str(tmp_path / "outbox"), close_timeout_s=PATIENCE_S
        ),
    )
    return Component(settings, tmp_path, ends(settings))


def ends(settings: Settings) -> dict[tuple[str, int], int]:
    """Topic and partition to the offset of its next record."""
    places = [
        (topic.full_name(settings.kafka.topic_prefix), partition)
        for topic in CATALOGUE
        for partition in range(topic.partitions)
    ]
    return log_offsets(AdminClient(client_config(settings.kafka)), places, OffsetSpec.latest(), DEADLINE_S)


class ComponentOnPlatform(Component):
    """With a sink beside it, so that what it reports becomes rows."""

    def produce(self, topic: Topic, record: Any, key: str) -> None:
        """Send a record as a processor would."""
        from confluent_kafka import Producer

        producer = Producer(client_config(self.settings.kafka, partitioner="murmur2_random"))
        producer.produce(
            topic.full_name(self.settings.kafka.topic_prefix),
            Codec(PackagedRegistry()).encode(record),
            key,
        )
        assert producer.flush(DEADLINE_S) == 0

    def rows(
        self, sql: str, enough: Callable[[list[Any]], bool] = bool, *, timeout_s: float = DEADLINE_S
    ) -> list[Any]:
        """Rows of a query, asked again until there are ``enough``."""
        client = clickhouse_client(self.settings.clickhouse)
        found: list[Any] = []

        def is_enough() -> bool:
            found[:] = client.execute(sql)
            return enough(found)

        try:
            wait_for(is_enough, lambda: found, timeout_s)
        finally:
            client.disconnect()
        return found


@pytest.fixture
def platform(topics: Settings, tables: Settings, tmp_path: Path) -> Iterator[ComponentOnPlatform]:
    assert topics is tables
    with running_platform(tables, tmp_path) as component:
        yield component


@contextmanager
def running_platform(settings: Settings, folder: Path) -> Iterator[ComponentOnPlatform]:
    """A sink beside what has topics and tables, for one test or for the tests of a module."""
    patient = dataclasses.replace(settings.component, query_timeout_s=DEADLINE_S, close_timeout_s=PATIENCE_S)
    component = ComponentOnPlatform(dataclasses.replace(settings, component=patient), folder)
    sink = ServiceProcess(folder / "sink", "sink", environ=component.environment(), working_folder=folder)
    with sink:
        yield component
        sink.terminate()
