"""Crashes, lost answers and zombies at any point of any batch, played without Kafka: every transition exactly once."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

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
from parallelm.stream_processors.alert_routes import COMPONENT_ALERT
from parallelm.stream_processors.alerts.component_alerts import FORGET_MS, SILENCE_MS
from parallelm.stream_processors.alerts.rules import cores_of
from parallelm.stream_processors.current_rules import MLAppRules
from parallelm.stream_processors.mlapp_stage import MLAppHandler
from parallelm.stream_processors.runtime import clock
from parallelm.stream_processors.runtime import shard as shard_module
from parallelm.stream_processors.runtime.chunks import Chunk, Incoming
from parallelm.stream_processors.runtime.dead_letters import DeadLetters
from parallelm.stream_processors.runtime.partitioning import control_partition
from parallelm.stream_processors.runtime.shard import Shard, Surroundings
from parallelm.stream_processors.runtime.transactions import FencedError, TransactionError
from parallelm.stream_processors.series_stage.handler import SeriesHandler
from parallelm.stream_processors.series_stage.pages import PAGE
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


@pytest.fixture(autouse=True, scope="module")
def _hurried() -> Iterator[None]:
    """Commits and clocks wait for nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_module, "COMMIT_INTERVAL_S", 0.0)
        patch.setattr(clock, "CLOCK_INTERVAL_S", 0.0)
        yield


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


# Shrinking a storm takes minutes and tells little: the seed is printed.
@settings(
    max_examples=30, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(
    models=st.integers(1, 4),
    faults=st.lists(st.sampled_from(("none", *FAULTS)), max_size=25),
    seed=st.integers(0, 2**32),
)
def test_crashes_anywhere_neither_lose_nor_double_a_transition(models: int, faults: list[str], seed: int):
    stormy = World(history(models), faults=iter(faults))
    asyncio.run(finish(stormy, random.Random(seed).randrange))
    assert holding(stormy) == holding(calm(models))
    assert "dead-letters" not in stormy.topics


@settings(
    max_examples=15, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(models=st.integers(1, 3), owners=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_owners_that_go_on_after_they_have_lost_the_partition_write_nothing_more(
    models: int, owners: int, seed: int
):
    world, chance = World(history(models)), random.Random(seed)

    async def hand_over() -> None:
        zombies = []
        for owner in range(owners):
            steps = iter(range(chance.randrange(30)))
            until = lambda steps=steps: next(steps, None) is None  # type: ignore[misc]  # noqa: E731
            zombies.append(await work(world, chance.randrange, until=until, owner=owner))
            # Whoever comes next has opened the shard before this one notices.
        last = await work(world, chance.randrange, until=world.is_done, owner=owners)
        for zombie in zombies:
            assert not zombie.done(), "it waits for its group to tell it"
            await gone(zombie)
        await gone(last)

    asyncio.run(hand_over())
    assert holding(world) == holding(calm(models))


@settings(
    max_examples=10, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(
    models=st.integers(1, 3),
    intrusions=st.lists(st.integers(1, 10), max_size=shard_module.MAX_FENCED),
    seed=st.integers(0, 2**32),
)
def test_an_owner_that_is_fenced_by_one_that_was_paused_opens_its_shard_again_and_goes_on(
    models: int, intrusions: list[int], seed: int
):
    world, chance = World(history(models)), random.Random(seed)
    pauses = iter(intrusions)

    async def intruded() -> None:
        wait = next(pauses, None)

        def until() -> bool:
            """It was paused between its membership check and opening; meanwhile the group has given the shard away."""
            nonlocal wait
            if wait is not None:
                wait -= 1
                if wait == 0:
                    world.epoch += 1
                    wait = next(pauses, None)
            return world.is_done()

        await gone(await work(world, chance.randrange, until=until))

    asyncio.run(intruded())
    assert holding(world) == holding(calm(models))


def test_a_shard_with_two_owners_gives_up():
    world = World(history(1))

    async def fought_over() -> None:
        def until() -> bool:
            world.epoch += 1
            return False

        await work(world, lambda number: number - 1, until=until)

    with pytest.raises(FencedError, match="--instance-id"):
        asyncio.run(fought_over())


def test_records_that_never_reached_a_shard_are_read_again_before_it_goes_on():
    world = World(history(1))
    (announcement,) = world.topics["models"]
    asked: list[tuple[str, int]] = []

    async def take() -> None:
        shard = open_shard(
            world, owner=0, read_again=lambda topic, _partition, offset: asked.append((topic, offset))
        )
        task = asyncio.create_task(shard.run())
        await shard.is_open.wait()
        # 0 was lost: what lies behind it has to wait, whether it comes in the same batch or in a later one.
        await shard.put(Chunk("models", PARTITION, 0, 1, 2, 3, ()))
        await shard.put(Chunk("models", PARTITION, 0, 2, 3, 3, ()))
        await until(lambda: len(asked) > 0)
        assert world.offsets.get("models", 0) == 0
        await shard.put(Chunk("models", PARTITION, 0, 2, 3, 3, ()))
        await until(lambda: len(asked) > 1)
        assert set(asked) == {("models", 0)}
        # Reading was sent back.
        await shard.put(Chunk("models", PARTITION, 0, None, 2, 3, [announcement]))
        await shard.put(Chunk("models", PARTITION, 0, 2, 3, 3, ()))
        await until(lambda: world.offsets.get("models") == 3)
        await gone(task)

    asyncio.run(take())
    assert len(asked) == 2


async def until(condition: Callable[[], bool]) -> None:
    deadline = Deadline()
    while not condition():
        deadline.check()
        await asyncio.sleep(0)


def test_records_of_another_assignment_are_left_to_their_owner():
    world = World(history(1))

    async def stale() -> None:
        shard = open_shard(world, owner=0)
        task = asyncio.create_task(shard.run())
        await shard.is_open.wait()
        await shard.put(Chunk("models", PARTITION, 99, None, 1, 1, world.topics["models"]))
        for _ in range(50):
            await asyncio.sleep(0)
        await gone(task)

    asyncio.run(stale())
    assert "deployments" not in world.topics
    assert world.offsets.get("models", 0) == 0


@settings(
    max_examples=25, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(
    days=st.integers(1, 20),
    faults=st.lists(st.sampled_from(("none", *FAULTS)), max_size=25),
    seed=st.integers(0, 2**32),
)
def test_crashes_anywhere_judge_each_sample_once(days: int, faults: list[str], seed: int):
    calm = undisturbed(World(reports(days), SERIES))
    stormy = World(reports(days), SERIES, faults=iter(faults))
    asyncio.run(finish(stormy, random.Random(seed).randrange))
    assert "dead-letters" not in stormy.topics
    steps = [
        [message.value for message in world.topics.get("rule-aggregates", ())] for world in (stormy, calm)
    ]
    assert steps[0] == steps[1]
    assert len(steps[0]) == expected_steps(days)
    pages = [
        {key: value for key, value in world.state().items() if PAGE.encode() in key}
        for world in (stormy, calm)
    ]
    assert pages[0] == pages[1]


def expected_steps(days: int) -> int:
    """One of ``share`` a day from the second on; drift begins at day 0 and 8, fires at 3 and 11, ends at 5 and 13."""
    drift = sum(day < days for start in range(0, days, 8) for day in (start, start + 3, start + 5))
    return days - 1 + drift


def test_what_is_remembered_of_a_component_s_alert_goes_when_it_is_long_over():
    world = calm(1)

    def remembered(now_ms: int) -> int:
        """Alerts that are remembered when the broker's clock says ``now_ms``; they came at 1 ms."""
        world.now_ms = now_ms
        before = len(world.changelog)

        async def wait() -> None:
            # Time is asked for, told, and then acted on.
            task = await work(world, lambda _: 1, until=lambda: len(world.changelog) > before + 5)
            await gone(task)

        asyncio.run(wait())
        return len([key for key in world.state() if COMPONENT_ALERT.encode() in key])

    assert remembered(SILENCE_MS) == 1
    assert "resolved" not in states_of(world, "GenericDataAlert")
    assert remembered(SILENCE_MS + 1) == 1
    assert states_of(world, "GenericDataAlert") == ["firing", "resolved"]
    assert remembered(FORGET_MS) == 1
    assert remembered(FORGET_MS + 1) == 0


def states_of(world: World, rule: str) -> list[str]:
    return [each.state.value for each in transitions(world).values() if getattr(each, "rule", "") == rule]
