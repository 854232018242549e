"""Crashes at any point of any batch, played without Kafka: every transition is sent, and none is decided twice."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from parallelm.connections import RegistrySettings
from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import (
    AlertTransition,
    Event,
    ModelAnnouncement,
    Origin,
    RecordPosition,
    RuleAggregate,
    Tick,
)
from parallelm.schemas.registry import make_registry
from parallelm.stream_processors.alerts.rule_alerts import FORGET_MS
from parallelm.stream_processors.alerts.rules import rules_of
from parallelm.stream_processors.dead_letters import DeadLetters
from parallelm.stream_processors.handlers import ControlHandler
from parallelm.stream_processors.partitioning import control_partition

from .live import DAY, DEFINITION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.state import Output

CODEC = Codec(make_registry(RegistrySettings(), ""))
RECORD = to_record(parse_definition(DEFINITION, "f"), DEFINITION, version=1, applied_by="me", event_time_ms=0)
ORIGIN = Origin(mlapp_id="app", node_id="predict", pipeline_instance_id="", agent_id="host")


class CrashError(BaseException):
    """The process is gone."""


@dataclass
class Message:
    topic: str
    offset: int
    value: bytes
    key: bytes = b"app"
    partition: int = 0
    timestamp: float = 1.0


@dataclass
class World:
    """What outlives a process: topics, the changelog's table, committed offsets. ``fuse`` writes until the crash."""

    topics: dict[str, list[Message]]
    data: dict[bytes, bytes] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    fuse: int | None = None

    def burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise CrashError

    async def write(self, values: Mapping[bytes, tuple[bytes | None, int]]) -> None:
        for key, (value, _) in values.items():
            self.burn()
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value

    async def send(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self.burn()
            log = self.topics.setdefault(output.topic, [])
            log.append(Message(output.topic, len(log), output.value))


class Rules:
    """Rules that are always known."""

    async def refresh(self) -> None:
        pass

    def by_mlapp(self) -> dict[str, Any]:
        return {"app": {rule.name: rule for rule in rules_of(RECORD)}}


def history(models: int) -> dict[str, list[Message]]:
    topics: dict[str, list[Message]] = {"mlapps": [Message("mlapps", 0, CODEC.encode(RECORD))]}
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
        records: list[tuple[str, Any]] = [("models", announcement), ("events", event)]
        for day in range(1, 6):
            offset = len(topics.get("rule-aggregates", ()))
            cause = RecordPosition(topic="statistics", partition=0, offset=offset)
            aggregate = RuleAggregate(
                origin=ORIGIN, rule="drift", statistic="overlapResult", model_id=model, labels={"feature": "temp"},
                timestamps_ms=[start + day * DAY], values=[0.1], cause=cause,
            )  # fmt: skip
            topics.setdefault("rule-aggregates", []).append(
                Message("rule-aggregates", offset, CODEC.encode(aggregate))
            )
        for topic, record in records:
            log = topics.setdefault(topic, [])
            log.append(Message(topic, len(log), CODEC.encode(record)))
    return topics


def work(world: World, data: st.DataObject) -> None:
    """One process: recovers, handles batches until everything is read, or crashes."""
    letters = DeadLetters(CODEC, "", "group", {})
    handler = ControlHandler(CODEC, "", Rules(), letters, world, world)  # type: ignore[arg-type]
    # Recovery reads the changelog: equal bytes, other objects.
    world.data = {key: bytes(bytearray(value)) for key, value in world.data.items()}
    position = dict(world.committed)
    consumed = ("mlapps", "models", "events", "rule-aggregates", "deployments")
    with asyncio.Runner() as runner:
        while ready := [one for one in consumed if position.get(one, 0) < len(world.topics.get(one, ()))]:
            batch: list[Message] = []
            for topic in data.draw(st.lists(st.sampled_from(ready), min_size=1, max_size=6)):
                at = position.get(topic, 0)
                if at < len(world.topics[topic]):
                    batch.append(world.topics[topic][at])
                    position[topic] = at + 1
            runner.run(handler.handle(batch))
            world.burn()
            world.committed = dict(position)


def transitions(world: World) -> dict[str, Any]:
    """Every transition by id; the same id must be the same record, to the last byte."""
    found: dict[str, bytes] = {}
    for topic in ("alerts", "deployments"):
        for message in world.topics.get(topic, ()):
            record = CODEC.decode(message.value)
            assert found.setdefault(record.transition_id, message.value) == message.value
    return {transition_id: CODEC.decode(value) for transition_id, value in found.items()}


def holding(world: World) -> set[tuple[Any, ...]]:
    """What a reader holds to be true in the end."""
    found = transitions(world)
    corrected = {each.supersedes for each in found.values() if isinstance(each, AlertTransition)}
    return {
        (type(each).__name__, each.state.value, each.model_id, each.event_time_ms)
        for transition_id, each in found.items()
        if transition_id not in corrected
    }


# Shrinking a storm takes minutes and tells little: the seed is printed.
@settings(
    max_examples=60, deadline=None, print_blob=True, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(st.integers(1, 4), st.lists(st.integers(0, 25), max_size=6), st.data())
def test_crashes_anywhere_neither_lose_nor_double_a_transition(
    models: int, fuses: list[int], data: st.DataObject
):
    calm = World(history(models))
    work(calm, data)
    assert "dead-letters" not in calm.topics
    stormy = World(history(models))
    for fuse in fuses:
        stormy.fuse = fuse
        try:
            work(stormy, data)
        except CrashError:
            continue
    stormy.fuse = None
    work(stormy, data)
    assert holding(stormy) == holding(calm)
    assert "dead-letters" not in stormy.topics


def test_the_alert_of_a_model_that_ended_is_forgotten_when_no_sample_of_it_can_still_come():
    world = World(history(2))
    letters = DeadLetters(CODEC, "", "group", {})
    handler = ControlHandler(CODEC, "", Rules(), letters, world, world)  # type: ignore[arg-type]

    def handle(*messages: Message) -> int:
        asyncio.run(handler.handle(messages))
        return len(world.data)

    handle(
        *(
            message
            for topic in ("mlapps", "models", "events", "rule-aggregates")
            for message in world.topics[topic]
        )
    )
    kept = handle(*world.topics["deployments"])
    partition = control_partition("app")
    soon, late = (
        Tick(now_ms=time.time_ns() // 1_000_000 + wait_ms, partition=partition) for wait_ms in (0, FORGET_MS)
    )
    assert handle(Message("ticks", 0, CODEC.encode(soon))) == kept
    late = dataclasses.replace(late, now_ms=late.now_ms + 60_000)
    assert handle(Message("ticks", 1, CODEC.encode(late))) == kept - 1
