"""Shards without Kafka: topics, changelog and offsets in memory, and processes that open a shard and work on it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from parallelm.connections import RegistrySettings
from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import (
    AggregateKind,
    AlertState,
    AlertTransition,
    Event,
    ModelAnnouncement,
    Origin,
    ProcessorState,
    RecordPosition,
    RuleAggregate,
    Series,
    StatisticsBatch,
)
from parallelm.schemas.registry import make_registry
from parallelm.stream_processors.alerts.rules import cores_of
from parallelm.stream_processors.current_rules import MLAppRules
from parallelm.stream_processors.mlapp_stage import MLAppHandler
from parallelm.stream_processors.runtime import clock
from parallelm.stream_processors.runtime import shard as shard_module
from parallelm.stream_processors.runtime.chunks import Chunk, Incoming
from parallelm.stream_processors.runtime.dead_letters import DeadLetters
from parallelm.stream_processors.runtime.partitioning import control_partition
from parallelm.stream_processors.runtime.shard import Shard
from parallelm.stream_processors.runtime.surroundings import Surroundings
from parallelm.stream_processors.runtime.transactions import FencedError, TransactionError
from parallelm.stream_processors.series_stage.handler import SeriesHandler
from tests.waiting import Deadline

from .legal import assert_legal
from .live import DAY, DEFINITION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.runtime.transactions import Output, Transactions

CODEC = Codec(make_registry(RegistrySettings(), ""))
RECORD = to_record(parse_definition(DEFINITION, "f"), DEFINITION, version=1, applied_by="me", event_time_ms=0)
ORIGIN = Origin(mlapp_id="app", node_id="predict", pipeline_instance_id="", agent_id="host")
RULES = MLAppRules(RECORD, cores_of(RECORD))
PARTITION = control_partition("app")
MLAPP, SERIES = ("mlapps", "models", "events", "rule-aggregates", "deployments"), ("statistics",)
"""What each stage reads."""
CHANGELOG = "state"
FAULTS = ("crash before", "crash after", "error before", "error after")
"""What happens to a commit: the process or the connection is gone, before or after the broker has taken it."""


class CrashError(Exception):
    """The process is gone."""


@contextmanager
def hurried() -> Iterator[None]:
    """Commits and clocks wait for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_module, "COMMIT_INTERVAL_S", 0.0)
        patch.setattr(clock, "CLOCK_INTERVAL_S", 0.0)
        yield


def message(topic: str, offset: int, record: Any) -> Incoming:
    return Incoming(topic, PARTITION, offset, 1, b"app", CODEC.encode(record))


@dataclass
class World:
    """What outlives a process: topics, the changelog, committed offsets. ``faults`` says what happens to each commit."""

    topics: dict[str, list[Incoming]]
    consumed: tuple[str, ...] = MLAPP
    changelog: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    owner: int = 0
    """To whom the consumer group has given the partition last."""
    faults: Iterator[str] = field(default_factory=lambda: iter(()))
    now_ms: int = 1

    def end(self, topic: str) -> int:
        return len(self.topics.get(topic, ()))

    def is_done(self) -> bool:
        return all(self.offsets.get(topic, 0) == self.end(topic) for topic in self.consumed)

    def state(self) -> dict[bytes, bytes]:
        """What compaction leaves of the changelog."""
        return {key: value for key, value in dict(self.changelog).items() if value is not None}


class InMemoryTransactions:
    """Stands in for ``Transactions``: all or nothing, and only the newest owner's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._epoch = -1

    async def open(self) -> None:
        self._world.epoch += 1
        self._epoch = self._world.epoch

    async def commit(self, outputs: Sequence[Output], offsets: Mapping[tuple[str, int], int]) -> int:
        await asyncio.sleep(0)
        fault = next(self._world.faults, "none")
        if self._epoch != self._world.epoch:
            raise FencedError
        _fail(fault, "before")
        for output in outputs:
            if output.topic == CHANGELOG:
                self._world.changelog.append((output.key, output.value))
            else:
                log = self._world.topics.setdefault(output.topic, [])
                log.append(Incoming(output.topic, PARTITION, len(log), 1, output.key, output.value))
        for (topic, partition), offset in offsets.items():
            assert partition == PARTITION
            assert offset >= self._world.offsets.get(topic, 0)
            self._world.offsets[topic] = offset
        await asyncio.sleep(0)
        _fail(fault, "after")
        return self._world.now_ms

    async def close(self) -> None:
        pass


def _fail(fault: str, when: str) -> None:
    if fault == f"crash {when}":
        raise CrashError
    if fault == f"error {when}":
        raise TransactionError("the connection is gone")


class Rules:
    """Rules that are always known."""

    async def refresh(self) -> None:
        pass

    generation = 1

    def of(self, mlapp_id: str) -> MLAppRules:
        assert mlapp_id == "app"
        return RULES


def open_shard(
    world: World, *, owner: int, read_again: Callable[[str, int, int], object] = lambda *_: None
) -> Shard:
    """The shard of one process that has just got the partition; ``owner`` says which of them that is."""
    world.owner = owner
    letters = DeadLetters(CODEC, "", "group", {})
    stage = MLAppHandler if world.consumed is MLAPP else SeriesHandler
    handler = stage(CODEC, "", cast("CurrentRules", Rules()), letters)

    async def read() -> list[tuple[bytes, ProcessorState | None]]:
        return [
            (key, None if value is None else CODEC.decode(value, ProcessorState))
            for key, value in world.changelog
        ]

    async def ends() -> dict[str, int]:
        return {topic: world.end(topic) for topic in world.consumed}

    async def yes(*_: object) -> bool:
        return True

    async def is_member() -> bool:
        return world.owner == owner

    async def send_back(topic: str, partition: int, offset: int, _assignment: int) -> None:
        read_again(topic, partition, offset)

    around = Surroundings(
        topic_ids=dict.fromkeys(world.consumed, "id"),
        changelog=CHANGELOG,
        open_transactions=lambda: cast("Transactions", InMemoryTransactions(world)),
        read_changelog=read,
        ends=ends,
        dead_letter=letters.of,
        encode_state=lambda state: None if state is None else CODEC.encode(state),
        is_member=is_member,
        know_schemas=cast("Any", yes),
        is_mine=lambda assignment: assignment == 0,
        read_again=send_back,
        assignment_known=yes,
    )
    return Shard("stage", PARTITION, handler, around)


def history(models: int) -> dict[str, list[Incoming]]:
    topics: dict[str, list[Incoming]] = {"mlapps": [message("mlapps", 0, RECORD)]}
    for number in range(models):
        model, start = f"m{number}", number * 10 * DAY
        announcement = ModelAnnouncement(
            origin=Origin(mlapp_id="app", node_id="train", pipeline_instance_id="", agent_id="host"),
            producer_id="p", seq=0, event_time_ms=start, model_id=model, name="", format="", description="",
            artifact_url="", file_name="", is_directory=False, size_bytes=0, sha256="", annotations={}, owner="",
            train_version="", model_version="",
        )  # fmt: skip
        event = Event(
            origin=ORIGIN, producer_id="p", seq=0, event_time_ms=start + DAY // 2, event_id="e", type="ModelAccepted",
            title="", description="", is_alert=False, model_id=model, labels={}, content_type="", data=b"",
        )  # fmt: skip
        records: list[tuple[str, Any]] = [
            ("models", announcement),
            ("events", event),
            ("events", alert_at(start + DAY)),
        ]
        for state, day in (("pending", 1), ("firing", 4)):
            offset = len(topics.get("rule-aggregates", ()))
            cause = RecordPosition(topic="statistics", partition=0, offset=offset)
            labels = {"feature": "temp", "node": "predict", "agent": "host", "pipeline": ""}
            step = RuleAggregate(
                origin=ORIGIN, kind=AggregateKind.STEP, rule="drift", rule_form=RULES.by_name["drift"].settings.form,
                statistic="overlapResult", model_id=model, labels=labels, event_time_ms=start + day * DAY,
                state=AlertState(state), started_at_ms=start + DAY, value=0.1, threshold=0.4, reason="it is low",
                cause=cause,
            )  # fmt: skip
            topics.setdefault("rule-aggregates", []).append(message("rule-aggregates", offset, step))
        for topic, record in records:
            log = topics.setdefault(topic, [])
            log.append(message(topic, len(log), record))
    return topics


def alert_at(event_time_ms: int) -> Event:
    """A component raises an alert."""
    return Event(
        origin=ORIGIN, producer_id="p", seq=0, event_time_ms=event_time_ms, event_id="a", type="GenericDataAlert",
        title="broken", description="", is_alert=True, model_id="", labels={}, content_type="", data=b"",
    )  # fmt: skip


def reports(days: int) -> dict[str, list[Incoming]]:
    """Two statistics: similarity that is low for days, and a share that flips each day."""
    log: list[Incoming] = []
    for day in range(days):
        low = 0.1 if day % 8 < 5 else 0.9
        samples = {"overlapResult": ({"line": "overlapScore_temp"}, low), "share": ({}, float(day % 2))}
        series = [
            Series(
                name=name, model_id="m", category="", graph_type="", labels=labels, timestamps_ms=[day * DAY],
                values=[value],
            )
            for name, (labels, value) in samples.items()
        ]  # fmt: skip
        batch = StatisticsBatch(origin=ORIGIN, producer_id="p", seq=day, series=series)
        log.append(Incoming("statistics", PARTITION, day, days * DAY, b"app", CODEC.encode(batch)))
    return {"statistics": log}


async def work(
    world: World, choose: Callable[[int], int], *, until: Callable[[], bool], owner: int = 0
) -> asyncio.Task[None]:
    """One process: opens its shard and hands it chunks ``until``; raises what ends it. The shard goes on until cancelled.

    ``choose(n)`` is a number below n: which chunk comes next, how long it is, and how long the shard works alone.
    """
    shard = open_shard(world, owner=owner)
    task = asyncio.create_task(shard.run())
    await shard.is_open.wait()
    # The group's offsets may be lost: then everything comes again.
    position = {} if choose(4) == 0 else dict(world.offsets)
    deadline = Deadline()
    while not until():
        deadline.check()
        if task.done():
            await task
        ready = [topic for topic in world.consumed if position.get(topic, 0) < world.end(topic)]
        if ready:
            topic = ready[choose(len(ready))]
            first = position.get(topic, 0)
            last = min(world.end(topic), first + 1 + choose(6))
            records = world.topics[topic][first:last]
            await shard.put(Chunk(topic, PARTITION, 0, None, last, world.end(topic), records))
            position[topic] = last
        for _ in range(choose(8)):
            await asyncio.sleep(0)
    return task


async def finish(world: World, choose: Callable[[int], int]) -> None:
    """Work until everything is handled, starting again after each crash."""
    while not world.is_done():
        with suppress(CrashError):
            task = await work(world, choose, until=world.is_done)
            await gone(task)


async def gone(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def transitions(world: World) -> dict[str, Any]:
    """Every transition by id, in the order in which they were sent: each id exactly once."""
    sent = [
        CODEC.decode(message.value or b"")
        for topic in ("alerts", "deployments")
        for message in world.topics.get(topic, ())
    ]
    found = {each.transition_id: each for each in sent}
    assert len(found) == len(sent), "sent twice"
    return found


def holding(world: World) -> set[tuple[Any, ...]]:
    """What a reader holds to be true in the end. How far the drift of a model came depends on when the next was taken."""
    found = transitions(world)
    is_open = assert_legal(each for each in found.values() if isinstance(each, AlertTransition))
    models = {each.model_id for each in found.values()} - {""}
    assert {each.model_id for each in is_open.values() if each.rule == "drift"} <= {max(models)}
    return {
        (type(each).__name__, each.state.value, each.model_id, each.event_time_ms)
        for each in found.values()
        if getattr(each, "rule", "") != "drift" or each.model_id == max(models)
    }


def calm(models: int) -> World:
    """The world after one process that nothing has happened to."""
    return undisturbed(World(history(models)))


def undisturbed(world: World) -> World:
    asyncio.run(finish(world, lambda number: number - 1))
    assert "dead-letters" not in world.topics
    return world
