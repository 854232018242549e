"""The worker: one Faust app with two agents, one table and a clock that only sends ticks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from parallelm.definitions import DefinitionTopic
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import Tick
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import connect, topic_ids
from parallelm.schemas.topics import (
    CONTROL_PARTITIONS,
    DEAD_LETTERS,
    DEPLOYMENTS,
    EVENTS,
    MLAPPS,
    MODELS,
    RULE_AGGREGATES,
    STATISTICS,
    TICKS,
)
from parallelm.stream_processors.app import App, Tables
from parallelm.stream_processors.batches import Batches
from parallelm.stream_processors.current_rules import CurrentRules
from parallelm.stream_processors.dead_letters import DeadLetters
from parallelm.stream_processors.faust_settings import broker_credentials, broker_urls
from parallelm.stream_processors.handlers import ControlHandler, StatisticsHandler
from parallelm.stream_processors.sending import KafkaEffects
from parallelm.stream_processors.state import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    import faust

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

logger = logging.getLogger(__name__)
T = TypeVar("T")

CONTROL_TOPICS: tuple[Topic, ...] = (MLAPPS, MODELS, EVENTS, RULE_AGGREGATES, DEPLOYMENTS, TICKS)
TICK_S = 5.0
_MAX_REPLICATION = 3
_MAX_STATE_BYTES = 8 << 20
_START_TIMEOUT_S = 10.0


class Stop(Protocol):
    """Asks the worker to stop."""

    def is_set(self) -> bool:
        """Whether it is to stop."""

    def fileno(self) -> int:
        """A descriptor that is readable from then on."""


class WorkerError(Exception):
    """The worker ended and must not go on as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the worker has to know of the cluster before it starts."""

    brokers: int
    topic_ids: dict[str, str]


def describe_cluster(settings: Settings) -> Cluster:
    """Ids of the topics; raises ``TopicsError`` when one is missing, ``ClusterUnavailableError`` without a broker."""
    wanted = [
        topic.full_name(settings.kafka.topic_prefix) for topic in (*CONTROL_TOPICS, STATISTICS, DEAD_LETTERS)
    ]
    admin, metadata = connect(settings, _START_TIMEOUT_S)
    return Cluster(len(metadata.brokers), topic_ids(admin, wanted, _START_TIMEOUT_S))


class ProcessorsWorker:
    """Builds the Faust app and runs it until a signal or an error that it cannot work through."""

    def __init__(
        self, settings: Settings, *, on_ready: Callable[[], None], session_timeout_s: float = 10.0
    ) -> None:
        self._settings = settings
        self._prefix = settings.kafka.topic_prefix
        self._on_ready = on_ready
        self._session_timeout_s = session_timeout_s
        self._failed: BaseException | None = None
        self._stop = asyncio.Event()
        self._batches: list[Batches] = []

    async def run(self) -> None:
        """Work until it is asked to stop; raises ``WorkerError`` when an agent gives up."""
        described = _in_a_daemon_thread(lambda: describe_cluster(self._settings))
        stop = asyncio.ensure_future(self._stop.wait())
        waited_for: set[asyncio.Future[Any]] = {described, stop}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if self._stop.is_set():
            described.cancel()
            return
        cluster = described.result()
        with DefinitionTopic(self._settings) as definitions, tempfile.TemporaryDirectory() as folder:
            app = self._make_app(cluster, definitions, folder)
            await self._until_stopped(app)
        error = self._failed or app.crash_reason
        if error is not None:
            raise WorkerError(f"the processors stopped: {type(error).__name__}: {error}") from error

    def stop(self) -> None:
        """Ask it to end, at any time."""
        self._stop.set()

    async def _until_stopped(self, app: faust.App) -> None:
        """Start the app and stop it when it is asked to, or has failed; also while it is still starting."""
        starting = asyncio.ensure_future(app.start())
        stopped = asyncio.ensure_future(app.wait_until_stopped())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not self._stop.is_set() and starting.exception() is None:
            await asyncio.wait({stopped, stop}, return_when=asyncio.FIRST_COMPLETED)
        await app.stop()
        tasks = (starting, stopped, stop)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not starting.cancelled():
            starting.result()

    def _make_app(self, cluster: Cluster, definitions: DefinitionTopic, folder: str) -> faust.App:
        kafka = self._settings.kafka
        app = App(
            f"{self._prefix}processors",
            broker=broker_urls(kafka),
            broker_credentials=broker_credentials(kafka),
            broker_session_timeout=self._session_timeout_s,
            broker_heartbeat_interval=self._session_timeout_s / 5,
            consumer_auto_offset_reset="earliest",
            producer_acks=-1,
            producer_max_request_size=_MAX_STATE_BYTES,
            store="memory://",
            TableManager=Tables,
            table_standby_replicas=0,
            topic_replication_factor=min(_MAX_REPLICATION, cluster.brokers),
            topic_disable_leader=True,
            reply_create_topic=False,
            web_enabled=False,
            autodiscover=False,
            datadir=folder,
            key_serializer="raw",
            value_serializer="raw",
        )
        table = app.Table(
            "state",
            key_type=bytes,
            value_type=bytes,
            partitions=CONTROL_PARTITIONS,
            extra_topic_configs={"max.message.bytes": str(_MAX_STATE_BYTES)},
        )
        table.on_recover(self._recovered)
        codec = Codec(make_registry(self._settings.schema_registry, self._prefix))
        effects = KafkaEffects(app, table)
        rules = CurrentRules(definitions)
        letters = DeadLetters(codec, self._prefix, app.conf.id, cluster.topic_ids)
        statistics = StatisticsHandler(codec, self._prefix, rules, letters, effects)
        control = ControlHandler(codec, self._prefix, rules, letters, effects, table)
        self._agent(app, (STATISTICS,), Batches(app, effects, statistics), "statistics")
        self._agent(app, CONTROL_TOPICS, Batches(app, effects, control), "control")
        self._clock(app, codec, effects)
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        return app

    def _agent(self, app: faust.App, topics: tuple[Topic, ...], batches: Batches, name: str) -> None:
        names = [topic.full_name(self._prefix) for topic in topics]
        # acks=False: offsets are committed by Batches, after everything that follows from a record is durable.
        channel = app.topic(*names, key_type=bytes, value_type=bytes, acks=False, allow_empty=True)
        self._batches.append(batches)

        async def run(stream: Any) -> None:
            try:
                await batches.run(stream)
            except* Exception as errors:
                logger.exception("agent %s gives up", name)
                self._failed = errors.exceptions[0]
                self._stop.set()
                raise

        app.agent(channel, name=name)(run)

    def _clock(self, app: faust.App, codec: Codec, effects: KafkaEffects) -> None:
        topic = TICKS.full_name(self._prefix)

        async def tick() -> None:
            """Faust timers may not touch tables: time is a record like any other."""
            owned = sorted(tp.partition for tp in app.consumer.assignment() if tp.topic == topic)
            now_ms = time.time_ns() // 1_000_000
            await effects.send_to_partitions(
                {
                    partition: Output(topic, b"", codec.encode(Tick(now_ms=now_ms, partition=partition)))
                    for partition in owned
                }
            )

        app.timer(interval=TICK_S)(tick)

    async def _recovered(self) -> None:
        logger.info("recovered; handling records")
        self._on_ready()

    async def _revoked(self, *_: Any, **__: Any) -> None:
        for batches in self._batches:
            await batches.settled()


def _in_a_daemon_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Result of a blocking call, which does not keep the process from ending while its broker does not answer."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_result: Callable[[Any], None], result: Any) -> None:
        if not future.done():
            set_result(result)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - raised where the result is taken
                loop.call_soon_threadsafe(settle, future.set_exception, error)
            else:
                loop.call_soon_threadsafe(settle, future.set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return future


def run_worker(
    settings: Settings, stop: Stop, on_ready: Callable[[], None], *, session_timeout_s: float = 10.0
) -> None:
    """Run one worker in this process until ``stop`` is set; raises ``WorkerError`` and errors of the cluster."""

    async def main() -> None:
        worker = ProcessorsWorker(settings, on_ready=on_ready, session_timeout_s=session_timeout_s)
        asyncio.get_running_loop().add_reader(stop.fileno(), worker.stop)
        await worker.run()

    asyncio.run(main())
