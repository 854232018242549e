"""The worker: one Faust app whose agents hand chunks to shards, and what keeps the shards where their partitions are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.records import ProcessorState
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import connect, topic_ids
from parallelm.schemas.topics import DEAD_LETTERS
from parallelm.schemas.well_known import PROCESSORS_GROUP
from parallelm.stream_processors.runtime import metrics
from parallelm.stream_processors.runtime.app import App, Tables
from parallelm.stream_processors.runtime.caught_up import CaughtUp
from parallelm.stream_processors.runtime.daemon_threads import in_a_daemon_thread
from parallelm.stream_processors.runtime.dead_letters import DeadLetters
from parallelm.stream_processors.runtime.faust_settings import (
    aiokafka_options,
    broker_credentials,
    broker_urls,
)
from parallelm.stream_processors.runtime.known_schemas import KnownSchemas
from parallelm.stream_processors.runtime.log_ends import HandledOffsets, LogEnds
from parallelm.stream_processors.runtime.patience import UNKNOWN_SCHEMA_LIMIT_S
from parallelm.stream_processors.runtime.progress import Progress
from parallelm.stream_processors.runtime.recovery import read_changelog
from parallelm.stream_processors.runtime.shard import Shard
from parallelm.stream_processors.runtime.surroundings import Surroundings
from parallelm.stream_processors.runtime.transactions import FencedError, Transactions, ignore_unheard_errors
from parallelm.stream_processors.runtime.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import faust

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic
    from parallelm.stream_processors.runtime.chunks import Chunk
    from parallelm.stream_processors.runtime.surroundings import Handler

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 10.0
_TOPIC_CHECK_S = 5.0
STUCK_S = UNKNOWN_SCHEMA_LIMIT_S + 60
"""A worker that has made no progress for so long is stuck: even an unknown schema is given up earlier."""
_FAUST_STOP_S = 4.0


class WorkerError(Exception):
    """The worker ended and must not go on as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Topics with one partition count, whose equal partition numbers one shard handles."""

    name: str
    topics: tuple[Topic, ...]
    changelog: Topic
    make_handler: Callable[[DeadLetters], Handler]
    follows: tuple[Topic, ...] = ()
    """Topics of an earlier stage, whose records lead to some of this one's: time passes when those are handled as well."""


def describe_topics(settings: Settings, topics: Iterable[Topic]) -> dict[str, str]:
    """Ids of topics by full name; raises ``TopicsError`` when one is missing, ``ClusterUnavailableError`` without a broker."""
    admin, _ = connect(settings, _START_TIMEOUT_S)
    return topic_ids(
        admin, (topic.full_name(settings.kafka.topic_prefix) for topic in topics), _START_TIMEOUT_S
    )


class Worker:
    """Builds the Faust app and runs it until it is asked to stop, or until an error that it cannot work through."""

    def __init__(
        self,
        settings: Settings,
        stages: Sequence[Stage],
        *,
        on_ready: Callable[[], None],
        session_timeout_s: float,
        instance_id: str = "",
    ) -> None:
        self._settings = settings
        self._prefix = settings.kafka.topic_prefix
        self._group = f"{self._prefix}{PROCESSORS_GROUP}"
        self._stages = stages
        self._on_ready = on_ready
        self._session_timeout_s = session_timeout_s
        self._instance_id = instance_id
        self._stop = asyncio.Event()
        self._failed: BaseException | None = None
        self._shards: dict[tuple[str, int], tuple[Shard, asyncio.Task[None]]] = {}
        self._topic_ids: dict[str, str] = {}
        self._assignment_known = asyncio.Event()
        self._assignment = -1
        self._app: Any = None
        self._ready: asyncio.Task[None] | None = None
        self._codec = Codec(make_registry(settings.schema_registry, self._prefix))
        self._schemas = KnownSchemas(self._codec.registry)
        self._ends = LogEnds(settings.kafka)
        self._handled = HandledOffsets(settings.kafka, self._group)
        self._progress = Progress()
        metrics.PROGRESS_AGE.set_function(self._progress_age_s)
        self._watchdog = Watchdog(self._what_is_stuck, failure=self._why_it_failed)

    def stop(self) -> None:
        """Ask it to end, at any time."""
        self._stop.set()

    async def run(self) -> None:
        """Work until it is asked to stop; raises ``WorkerError`` when a shard gives up."""
        asyncio.get_running_loop().set_exception_handler(ignore_unheard_errors)
        topics = [topic for stage in self._stages for topic in (*stage.topics, stage.changelog)]
        self._all_topics = (*topics, DEAD_LETTERS)
        described = in_a_daemon_thread(lambda: describe_topics(self._settings, self._all_topics))
        stop = asyncio.ensure_future(self._stop.wait())
        waited_for: set[asyncio.Future[Any]] = {described, stop}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if self._stop.is_set():
            described.cancel()
            return
        self._topic_ids = described.result()
        self._watchdog.start()
        with tempfile.TemporaryDirectory() as folder:
            self._app = self._make_app(folder)
            beating = asyncio.create_task(self._beat())
            checking = asyncio.create_task(self._check_topics())
            try:
                await self._until_stopped()
            finally:
                self._watchdog.stopping()
                for task in (beating, checking):
                    task.cancel()
        error = self._error()
        if error is not None:
            raise WorkerError(f"the processors stopped: {self._why_it_failed()}") from error

    def _error(self) -> BaseException | None:
        return self._failed or (None if self._stop.is_set() else self._app.crash_reason)

    def _why_it_failed(self) -> str:
        error = self._error()
        if error is None:
            return ""
        # The group's answer that another member has this name is one that aiokafka does not know.
        hint = self._hint_at_a_namesake() if isinstance(error, FencedError | KafkaError) else ""
        return f"{type(error).__name__}: {error}{hint}"

    def _hint_at_a_namesake(self) -> str:
        if not self._instance_id:
            return ""
        return f"; if another worker runs with --instance-id {self._instance_id!r} as well, give each its own"

    def ended(self) -> None:
        """The process goes on to its end by itself."""
        self._watchdog.ended()

    async def _until_stopped(self) -> None:
        app = self._app
        starting = asyncio.ensure_future(app.start())
        stopped = asyncio.ensure_future(app.wait_until_stopped())
        stop = asyncio.ensure_future(self._stop.wait())
        tasks = (starting, stopped, stop)
        try:
            await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set() and starting.exception() is None:
                await asyncio.wait({stopped, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._watchdog.stopping()
            await self._close_shards(list(self._shards))
            # Faust waits for agents that it has started again meanwhile: it is not waited for indefinitely.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAUST_STOP_S):
                    await app.stop()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if starting.done() and not starting.cancelled() and self._failed is None:
            starting.result()

    # ---- Faust --------------------------------------------------------------------------------------------------

    def _make_app(self, folder: str) -> faust.App:
        kafka = self._settings.kafka
        app = App(
            self._group,
            broker=broker_urls(kafka),
            broker_credentials=broker_credentials(kafka),
            broker_session_timeout=self._session_timeout_s,
            broker_heartbeat_interval=self._session_timeout_s / 5,
            broker_max_poll_records=2_000,
            consumer_group_instance_id=self._instance_id or None,
            consumer_max_fetch_size=4 << 20,
            consumer_auto_offset_reset="earliest",
            producer_acks=-1,
            store="memory://",
            TableManager=Tables,
            topic_disable_leader=True,
            reply_create_topic=False,
            web_enabled=False,
            autodiscover=False,
            datadir=folder,
            key_serializer="raw",
            value_serializer="raw",
        )
        for stage in self._stages:
            names = [topic.full_name(self._prefix) for topic in stage.topics]
            # acks=False: offsets are committed with the transactions of the shards.
            channel = app.topic(*names, key_type=bytes, value_type=bytes, acks=False, allow_empty=True)
            app.agent(channel, name=stage.name)(self._agent(stage))
        app.on_partitions_assigned.connect(self._assigned, weak=False)  # type: ignore[arg-type]
        app.on_partitions_revoked.connect(self._partitions_revoked, weak=False)
        return app

    def _agent(self, stage: Stage) -> Callable[[Any], Any]:
        async def hand_on(stream: Any) -> None:
            async for event in stream.noack().events():
                chunk: Chunk = event.message.value
                await self._assignment_known.wait()
                found = self._shards.get((stage.name, chunk.partition))
                if found is not None and self._is_mine(chunk.assignment):
                    await found[0].put(chunk)

        return hand_on

    async def _partitions_revoked(self, *_: Any, **__: Any) -> None:
        """Start no batch until it is known which partitions stay; those under way end before others may begin theirs."""
        self._assignment_known.clear()
        settled = [shard.settled() for shard, _ in self._shards.values()]
        with contextlib.suppress(TimeoutError):  # the next owner fences what goes on
            async with asyncio.timeout(self._session_timeout_s / 2):
                await asyncio.gather(*settled)

    async def _assigned(self, _app: Any, *arguments: Any, **_more: Any) -> None:
        """Keep the shards whose partitions stay, close the others, open those that are new."""
        (assigned,) = arguments
        by_name = {topic.full_name(self._prefix): stage for stage in self._stages for topic in stage.topics}
        stages = {stage.name: stage for stage in self._stages}
        wanted = {(by_name[tp.topic].name, tp.partition) for tp in assigned if tp.topic in by_name}
        await self._close_shards([place for place in self._shards if place not in wanted])
        for name, partition in sorted(wanted - self._shards.keys()):
            self._open_shard(stages[name], partition)
        self._assignment = self._app.consumer.assignment_number
        self._assignment_known.set()
        self._tell_when_ready()

    async def _is_member(self) -> bool:
        return bool(await self._app.consumer.is_member())

    async def _read_again(self, topic: str, partition: int, offset: int, assignment: int) -> None:
        await self._app.consumer.read_again(TopicPartition(topic, partition), offset, assignment)

    def _is_mine(self, assignment: int) -> bool:
        return assignment == self._assignment

    # ---- shards -------------------------------------------------------------------------------------------------

    def _open_shard(self, stage: Stage, partition: int) -> None:
        letters = DeadLetters(self._codec, self._prefix, self._group, self._topic_ids)
        around = self._surroundings(stage, partition, letters)
        shard = Shard(stage.name, partition, stage.make_handler(letters), around)
        task = asyncio.create_task(shard.run(), name=f"{stage.name} shard {partition}")
        task.add_done_callback(self._shard_ended)
        self._shards[stage.name, partition] = (shard, task)

    def _surroundings(self, stage: Stage, partition: int, letters: DeadLetters) -> Surroundings:
        changelog = stage.changelog.full_name(self._prefix)
        kafka = self._settings.kafka

        def open_transactions() -> Transactions:
            return Transactions(
                f"{self._group}-{stage.name}-{partition}", self._group, aiokafka_options(kafka)
            )

        def read() -> list[tuple[bytes, ProcessorState | None]]:
            return [
                (key, None if value is None else self._codec.decode(value, ProcessorState))
                for key, value in read_changelog(self._settings, changelog, partition)
            ]

        caught_up = CaughtUp(
            self._ends,
            self._handled,
            earlier=[
                (topic.full_name(self._prefix), number)
                for topic in stage.follows
                for number in range(topic.partitions)
            ],
            own=[(topic.full_name(self._prefix), partition) for topic in stage.topics],
        )

        return Surroundings(
            topic_ids=self._topic_ids,
            changelog=changelog,
            open_transactions=open_transactions,
            read_changelog=lambda: in_a_daemon_thread(read),
            know_schemas=self._schemas.of,
            ends=caught_up.ends,
            dead_letter=letters.of,
            encode_state=lambda state: None if state is None else self._codec.encode(state),
            is_member=self._is_member,
            is_mine=self._is_mine,
            read_again=self._read_again,
            assignment_known=self._assignment_known.wait,
        )

    async def _close_shards(self, places: Sequence[tuple[str, int]]) -> None:
        closing = [self._shards.pop(place)[1] for place in places]
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)

    def _shard_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._failed is None:
            logger.error("%s gives up", task.get_name(), exc_info=error)
            self._failed = error
        self._stop.set()

    def _tell_when_ready(self) -> None:
        async def tell() -> None:
            await asyncio.gather(*(shard.is_open.wait() for shard, _ in self._shards.values()))
            logger.info("handling records of %d shards", len(self._shards))
            self._on_ready()

        if self._ready is not None:
            self._ready.cancel()
        self._ready = asyncio.create_task(tell())

    # ---- watching -----------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            self._watchdog.beat()
            self._progress.beat()
            await asyncio.sleep(0.5)

    def _progress_age_s(self) -> float:
        return self._progress.age_s([shard.progress for shard, _ in list(self._shards.values())])

    def _what_is_stuck(self) -> str:
        # To join its group a worker may have to wait until the session of one before it is over.
        if self._progress_age_s() < max(STUCK_S, 2 * self._session_timeout_s):
            return ""
        shards = sorted(self._shards.items(), key=lambda item: item[1][0].progress)
        if not shards:
            return f"the worker has no place in its consumer group{self._hint_at_a_namesake()}"
        (stage, partition), (shard, _) = shards[0]
        silent_s = time.monotonic() - shard.progress
        return (
            f"{stage} shard {partition} has made no progress for {silent_s:.0f} s{self._hint_at_a_namesake()}"
        )

    async def _check_membership(self) -> None:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_TOPIC_CHECK_S):
                if self._assignment_known.is_set() and await self._is_member():
                    self._progress.is_member()

    async def _check_topics(self) -> None:
        """End when a topic was made again: its offsets mean other records now, and a fresh start knows that."""
        while True:
            await asyncio.sleep(_TOPIC_CHECK_S)
            try:
                now = await in_a_daemon_thread(lambda: describe_topics(self._settings, self._all_topics))
            except ClusterUnavailableError:
                self._progress.broker_answers(answers=False)
                continue
            except TopicsError as error:
                self._failed = error
                self._stop.set()
                return
            self._progress.broker_answers(answers=True)
            await self._check_membership()
            changed = sorted(name for name, topic_id in now.items() if topic_id != self._topic_ids[name])
            if changed:
                self._failed = TopicsError(
                    f"topic {changed[0]!r} was deleted and made again; start the processors again"
                )
                self._stop.set()
                return
