"""A sink beside the test: topics and tables made, a thread that runs it, a producer of records."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.connections.kafka import client_config
from parallelm.mcenter.cli import cli
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.sinks import Sink, SinkMetrics, SinkOptions
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result
    from clickhouse_driver import Client

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic


class Platform:
    """What a test does with the topics and the tables."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.codec = Codec(PackagedRegistry())
        self.producer = Producer(client_config(settings.kafka, linger_ms=5, message_max_bytes=5_000_000))
        self.client: Client = clickhouse_client(settings.clickhouse)

    def send(
        self,
        topic: Topic,
        value: bytes | Any | None,
        *,
        key: bytes | str = b"app",
        partition: int = -1,
        flush: bool = True,
    ) -> None:
        """Send one record: a dataclass is encoded, bytes go as they are."""
        data = value if isinstance(value, bytes | None) else self.codec.encode(value)
        self.producer.produce(topic.full_name(self.settings.kafka.topic_prefix), data, key, partition)
        if flush:
            self.flush()
        else:
            self.producer.poll(0)

    def flush(self) -> None:
        assert self.producer.flush(DEADLINE_S) == 0

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.client.execute(query)

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def wait(self, query: str, expected: Any) -> None:
        """Wait until a query gives one value."""
        wait_for(
            lambda: self.value(query) == expected, lambda: f"{query}: {self.value(query)}, not {expected}"
        )

    @contextmanager
    def sink(self, **options: Any) -> Iterator[RunningSink]:
        """A sink in a thread of this process; its error, if it ended with one, is raised at the end."""
        running = RunningSink(self.settings, options)
        running.thread.start()
        try:
            assert running.assigned.wait(DEADLINE_S)
            yield running
        finally:
            running.stop.set()
            running.thread.join(DEADLINE_S)
            assert not running.thread.is_alive()
            # What ended the sink says more than what the test missed because of it.
            if running.failures:
                raise running.failures[0]


class RunningSink:
    """A sink in a thread."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self.assigned = threading.Event()
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self.metrics = SinkMetrics(CollectorRegistry())
        self.thread = threading.Thread(target=self._run)
        self._sink = Sink(
            settings,
            SinkOptions(**({"session_timeout_s": 6.0, "flush_interval_s": 0.05} | options)),
            self.metrics,
            on_assigned=self.assigned.set,
        )

    def _run(self) -> None:
        try:
            self._sink.run(self.stop)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.failures.append(error)
        finally:
            self.assigned.set()

    def wait_until_ended(self) -> None:
        """Wait until it has ended by itself."""
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()

    def stalls(self) -> str:
        """What ``/ready`` says."""
        return self._sink.stalls()

    def metric(self, name: str, **labels: str) -> float:
        """Value of a metric now; 0 when it was never counted."""
        return self.metrics.registry.get_sample_value(f"mcenter_sink_{name}", labels) or 0.0


@pytest.fixture
def platform(topics: Settings, tables: Settings) -> Iterator[Platform]:
    assert topics is tables
    made = Platform(tables)
    yield made
    made.client.disconnect()


@pytest.fixture
def command(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run ``mcenter`` with the settings of this test."""
    config = tmp_path / "mcenter.toml"
    save_settings(settings, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))

    def run(*arguments: str, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == exit_code, result.output
        return result

    return run
