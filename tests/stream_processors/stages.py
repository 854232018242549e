"""Both stages of the processors with their state, without Kafka: records go in one by one, in any order of topics."""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from parallelm.connections import RegistrySettings
from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import (
    AlertTransition,
    Event,
    ModelAnnouncement,
    Origin,
    ProcessorState,
    Series,
    StatisticsBatch,
    UserAction,
)
from parallelm.schemas.registry import make_registry
from parallelm.stream_processors.alerts.rules import cores_of
from parallelm.stream_processors.current_rules import MLAppRules
from parallelm.stream_processors.mlapp_stage import MLAppHandler
from parallelm.stream_processors.runtime.chunks import Incoming
from parallelm.stream_processors.runtime.dead_letters import DeadLetters
from parallelm.stream_processors.runtime.partitioning import control_partition
from parallelm.stream_processors.runtime.stored_state import StateStore
from parallelm.stream_processors.series_stage.handler import SeriesHandler

from .legal import assert_legal

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from parallelm.definitions.mlapp import MLApp
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.runtime.surroundings import Handler
    from parallelm.stream_processors.runtime.transactions import Output

CODEC = Codec(make_registry(RegistrySettings(), ""))
NOW = 1_790_000_000_000
"""The broker's clock at first."""
STATISTICS = "statistics"


@functools.cache
def parsed(text: str) -> MLApp:
    """An MLApp as written."""
    return parse_definition(text, "f")


class InMemoryRules:
    """The newest definition of each MLApp, known at once."""

    def __init__(self) -> None:
        self.generation = 0
        self._rules: dict[str, MLAppRules] = {}

    async def refresh(self) -> None:
        """Nothing is behind."""

    def of(self, mlapp_id: str) -> MLAppRules | None:
        return self._rules.get(mlapp_id)

    def put(self, mlapp_id: str, rules: MLAppRules | None) -> None:
        self.generation += 1
        if rules is None:
            self._rules.pop(mlapp_id, None)
        else:
            self._rules[mlapp_id] = rules


class Stage:
    """A handler with its store: what a shard is, without transactions."""

    def __init__(self, kind: type[MLAppHandler | SeriesHandler], rules: InMemoryRules) -> None:
        self._kind, self._rules = kind, rules
        self.letters: list[Exception] = []
        self._changelog: dict[bytes, bytes] = {}
        self.restart()

    def restart(self) -> None:
        """Another process goes on from the changelog."""
        letters = DeadLetters(CODEC, "", "group", {})
        self.handler: Handler = self._kind(CODEC, "", cast("CurrentRules", self._rules), letters)
        self._open()

    def _open(self) -> None:
        self.store = StateStore(self.handler.kinds)
        for key, value in self._changelog.items():
            self.store.load(key, CODEC.decode(value, ProcessorState))
        self.handler.opened(self.store)

    def batch(
        self, records: Sequence[Incoming], now_ms: int | None = None, *, fails: bool = False
    ) -> list[Output]:
        """One transaction over records, and over time up to ``now_ms``; one that fails leaves no trace."""
        _run(self.handler.prepare(records))
        outputs: list[Output] = []
        for record in records:
            self.store.begin_record()
            try:
                outputs += list(self.handler.handle(self.store, record))
            except Exception as error:  # noqa: BLE001 - as the shard does
                self.store.undo_record()
                self.letters.append(error)
        if now_ms is not None:
            outputs += self.handler.on_time(self.store, now_ms)
        outputs += self.handler.finish(self.store)
        changes = self.store.changes()
        if fails:
            self._open()
            return []
        for key, state in changes.items():
            if state is None:
                self._changelog.pop(key.to_bytes(), None)
            else:
                self._changelog[key.to_bytes()] = CODEC.encode(state)
        self.store.commit()
        return outputs

    @property
    def stored(self) -> dict[bytes, bytes]:
        """What compaction leaves of the changelog."""
        return dict(self._changelog)


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Nothing here waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


@dataclass
class Stages:
    """The processors of one partition."""

    now_ms: int = NOW
    alerts: list[AlertTransition] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    waiting: dict[str, deque[Incoming]] = field(default_factory=lambda: defaultdict(deque))
    """Records that the MLApp's stage has not handled yet, by topic."""
    rules: InMemoryRules = field(default_factory=InMemoryRules)
    versions: dict[str, int] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self.series = Stage(SeriesHandler, self.rules)
        self.mlapp = Stage(MLAppHandler, self.rules)

    # ---- what comes in ------------------------------------------------------------------------------------------

    def apply(self, text: str, mlapp: str = "app") -> None:
        """A definition, known to both stages at once; its record waits."""
        text = f"mlapp: {mlapp}\n{text}"
        version = self.versions[mlapp] = self.versions.get(mlapp, 0) + 1
        record = to_record(parsed(text), text, version=version, applied_by="me", event_time_ms=self.now_ms)  # fmt: skip
        self.rules.put(mlapp, MLAppRules(record, cores_of(record)))
        self.write("mlapps", mlapp, record)

    def remove(self, mlapp: str = "app") -> None:
        self.rules.put(mlapp, None)
        self.versions.pop(mlapp, None)
        self.write("mlapps", mlapp, None)

    def notice(self) -> None:
        """The series stage asks for definitions, as it does every few seconds."""
        self._sent(self.series.batch([]))

    def statistics(self, series: Sequence[Series], *, fails: bool = False, **origin: str) -> None:
        """One record of statistics, judged at once."""
        batch = StatisticsBatch(origin=origin_of(**origin), producer_id="p", seq=0, series=series)
        offset = self.offsets[STATISTICS]
        record = Incoming(STATISTICS, 0, offset, self.now_ms, b"key", CODEC.encode(batch))
        if fails:
            self.series.batch([record], fails=True)
        self.offsets[STATISTICS] += 1
        self._sent(self.series.batch([record]))

    def sample(self, value: float, at_ms: float | None = None, *, name: str = "x", model: str = "", labels: Mapping[str, str] | None = None, **origin: str) -> None:  # fmt: skip
        at_ms = self.now_ms if at_ms is None else at_ms
        self.statistics([series_of(name, [(at_ms, value)], model=model, labels=labels)], **origin)

    def event(self, kind: str, at_ms: float | None = None, *, is_alert: bool = True, model: str = "", data: bytes = b"", **origin: str) -> None:  # fmt: skip
        event = Event(
            origin=origin_of(**origin), producer_id="p", seq=0, event_id="e", type=kind, title="t", description="d",
            event_time_ms=int(self.now_ms if at_ms is None else at_ms), is_alert=is_alert, model_id=model, labels={},
            content_type="", data=data,
        )  # fmt: skip
        self.write("events", event.origin.mlapp_id, event)

    def model(self, model_id: str, mlapp: str = "app") -> None:
        announcement = ModelAnnouncement(
            origin=origin_of(node="train", mlapp=mlapp), producer_id="p", seq=0, event_time_ms=self.now_ms,
            model_id=model_id, name="", format="", description="", artifact_url="", file_name="", is_directory=False,
            size_bytes=0, sha256="", annotations={}, owner="", train_version="", model_version="",
        )  # fmt: skip
        self.write("models", mlapp, announcement)

    def act(
        self, action: str, target: str, *, mlapp: str = "app", at_ms: int | None = None, who: str = "ann"
    ) -> None:
        self.write("actions", mlapp, UserAction(
            event_time_ms=self.now_ms if at_ms is None else at_ms, action_id="a", mlapp_id=mlapp, who=who, authenticated_by="unverified_local_user",
            action=action, node_id="", model_id="", target=target, comment="known", parameters={},
        ))  # fmt: skip

    def write(self, topic: str, mlapp: str, record: Any) -> None:
        offset = self.offsets[topic]
        self.offsets[topic] += 1
        value = None if record is None else CODEC.encode(record)
        incoming = Incoming(topic, control_partition(mlapp), offset, self.now_ms, mlapp.encode(), value)
        self.waiting[topic].append(incoming)

    # ---- what happens -------------------------------------------------------------------------------------------

    def deliver(self, topic: str, mlapp: str | None = None) -> None:
        """The oldest record of a topic, or of an MLApp on it, reaches the MLApp's stage; nothing when there is none."""
        waiting = self.waiting[topic]
        found = next((each for each in waiting if mlapp is None or each.key == mlapp.encode()), None)
        if found is not None:
            waiting.remove(found)
            self._sent(self.mlapp.batch([found]))

    def settle(self) -> Stages:
        """Everything that waits is handled, definitions first."""
        while topics := [
            topic
            for topic, waiting in sorted(
                self.waiting.items(), key=lambda item: (item[0] != "mlapps", item[0])
            )
            if waiting
        ]:
            self.deliver(topics[0])
        return self

    def wait(self, duration_ms: float) -> Stages:
        """The broker's clock goes on, once everything is handled."""
        self.settle()
        self.now_ms += int(duration_ms)
        for _ in range(3):  # what one tick leads to may be due at once
            self._sent(self.series.batch([], self.now_ms))
            self.settle()
            self._sent(self.mlapp.batch([], self.now_ms))
        return self

    def restart(self) -> None:
        self.series.restart()
        self.mlapp.restart()

    def _sent(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if output.topic == "rule-aggregates":
                mlapp = output.key.decode()
                self.write(output.topic, mlapp, CODEC.decode(output.value or b""))
            elif output.topic == "alerts":
                self.alerts.append(CODEC.decode(output.value or b"", AlertTransition))
            else:
                self.others.append(CODEC.decode(output.value or b""))

    # ---- what a user sees ---------------------------------------------------------------------------------------

    def states(self) -> list[str]:
        """States of all transitions; they are legal."""
        assert_legal(self.alerts)
        return [each.state.value for each in self.alerts]

    def open(self) -> dict[str, AlertTransition]:
        return assert_legal(self.alerts)

    @property
    def letters(self) -> list[Exception]:
        return [*self.series.letters, *self.mlapp.letters]


def origin_of(mlapp: str = "app", node: str = "n", pipeline: str = "", agent: str = "host") -> Origin:
    return Origin(mlapp_id=mlapp, node_id=node, pipeline_instance_id=pipeline, agent_id=agent)


def series_of(
    name: str,
    samples: Sequence[tuple[float, float]],
    *,
    model: str = "",
    labels: Mapping[str, str] | None = None,
) -> Series:
    return Series(
        name=name, model_id=model, category="", graph_type="", labels=labels or {},
        timestamps_ms=[at_ms for at_ms, _ in samples], values=[value for _, value in samples],
    )  # fmt: skip
