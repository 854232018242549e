"""The load of a fault test, what it must lead to, and what the topics say that it has led to."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.records import AlertState, AlertTransition, DeploymentState
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import (
    ALERTS,
    DEAD_LETTERS,
    DEPLOYMENTS,
    MLAPPS,
    STATISTICS,
    STRUCTURED_STATISTICS,
)
from parallelm.stream_processors.processors import MLAPP_TOPICS
from tests.stream_processors.live import START
from tests.waiting import wait_for

from .conversations import conversations
from .scenarios import SCENARIOS, Moment
from .wide_scenarios import CLOCKED, WIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.stream_processors.live import Cluster

    from .scenarios import Life, Scenario

INPUT_TOPICS = (STATISTICS, STRUCTURED_STATISTICS, *MLAPP_TOPICS)


@dataclass
class Load:
    """Drives all scenarios, each in MLApps of its own, and counts the steps."""

    cluster: Cluster
    observed: Observed
    copies: int = 2
    scenarios: tuple[Scenario, ...] = ()
    """Empty: all."""
    steps: int = 0
    poison: int = 0
    clocked_steps: int | None = None
    """How many steps those that wait for the clock have taken, once they are left to it."""

    def __post_init__(self) -> None:
        self.mlapps: dict[str, Scenario] = {
            f"{scenario.name}-{copy}": scenario
            for scenario in (self.scenarios or (*SCENARIOS, *WIDE, *conversations()))
            for copy in range(self.copies)
        }

    def define(self) -> None:
        """Apply the definitions, all at once: one after the other takes longer than a short run."""
        for mlapp, scenario in self.mlapps.items():
            text = scenario.definition.replace("mlapp: app", f"mlapp: {mlapp}")
            record = to_record(
                parse_definition(text, mlapp), text, version=1, applied_by="me", event_time_ms=START
            )
            self.cluster.send_bytes(MLAPPS, MLAPPS.key(record), self.cluster.codec.encode(record))
        self.cluster.flush()

    def step(self, pause_s: float = 0.0) -> None:
        """One step of every scenario; returns once the broker has it, and after a pause: a load has a rate."""
        for mlapp, scenario in self.mlapps.items():
            if self.clocked_steps is None or scenario not in CLOCKED:
                self.cluster.mlapp = mlapp
                scenario.send(self.cluster, Moment(mlapp, self.steps, self.observed))
        self.cluster.flush()
        self.steps += 1
        time.sleep(pause_s)

    def leave_to_the_clock(self) -> None:
        """Send no more of what the clock has to end: what is open then outlives what happens to the workers."""
        self.clocked_steps = self.steps

    def send_poison(self) -> None:
        """A record that nobody can decode on each topic."""
        for topic in INPUT_TOPICS:
            self.cluster.send_bytes(topic, next(iter(self.mlapps)).encode(), b"poison")
        self.cluster.flush()
        self.poison += len(INPUT_TOPICS)

    def expected(self, *, at_once: bool = False) -> dict[tuple[str, str], Life]:
        """Lives by MLApp and alert or deployment; ``at_once``: without those that the clock may hold up."""
        found: dict[tuple[str, str], Life] = {}
        for mlapp, scenario in self.mlapps.items():
            clocked = scenario in CLOCKED
            if not (clocked and at_once):
                steps = self.clocked_steps if clocked and self.clocked_steps is not None else self.steps
                lives = scenario.expected(Moment(mlapp, steps, self.observed))
                found |= {(mlapp, subject): life for subject, life in lives.items()}
        return found


@dataclass
class Observed:
    """What a ``read_committed`` reader has seen on the topics of transitions and of dead letters so far."""

    cluster: Cluster
    lives: dict[tuple[str, str], Life] = field(default_factory=lambda: defaultdict(list))
    ids: list[str] = field(default_factory=list)
    dead_letters: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._alert_ids: dict[str, str] = {}
        self._alerts: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._deployments: list[tuple[str, str, str, str]] = []
        self._topics = {self.cluster.name(topic): topic for topic in (ALERTS, DEPLOYMENTS, DEAD_LETTERS)}
        self._consumer = Consumer(reader_config(self.cluster.settings.kafka, "fault-test"))
        known = self._consumer.list_topics(timeout=30).topics
        self._consumer.assign(
            [
                TopicPartition(name, partition, OFFSET_BEGINNING)
                for name in self._topics
                for partition in known[name].partitions
            ]
        )

    def poll(self) -> None:
        """Take what has come."""
        while messages := self._consumer.consume(2_000, timeout=0.02):
            for message in messages:
                if message.error() is None:
                    self._absorb(message)

    def _absorb(self, message: Any) -> None:
        topic = self._topics[message.topic()]
        if message.value() == b"poison":  # what the test itself has put there
            return
        record: Any = self.cluster.codec.decode(message.value(), topic.record)
        if topic is DEAD_LETTERS:
            self.dead_letters.append(record)
            return
        self.ids.append(record.transition_id)
        state = record.state.value
        if isinstance(record, AlertTransition):
            subject = record.rule
            self._alert_ids[record.mlapp_id] = record.alert_id
            self._alerts[record.mlapp_id, record.alert_id].append(state)
        else:
            subject = record.model_id
            self._deployments.append((record.mlapp_id, record.node_id, subject, state))
            state += "" if record.node_id in {"", "predict"} else f" on {record.node_id}"
        self.lives[record.mlapp_id, subject].append((state, record.event_time_ms))

    def life(self, mlapp: str, subject: str) -> Life:
        """So far."""
        return self.lives.get((mlapp, subject), [])

    def alert_id(self, mlapp: str) -> str:
        """Of the alert that was seen last; empty before."""
        return self._alert_ids.get(mlapp, "")

    def deployments_of(self, scenarios: Iterable[str]) -> list[tuple[str, str, str, str]]:
        """MLApp, node, model and state of each transition; not those that wait for approval."""
        names = set(scenarios)
        return [
            each
            for each in self._deployments
            if each[0].rpartition("-")[0] in names and each[3] != DeploymentState.AWAITING_APPROVAL.value
        ]

    def alerts_of(self, scenarios: Iterable[str]) -> dict[str, dict[str, list[str]]]:
        """States of each alert that has fired, by MLApp and alert id."""
        names = set(scenarios)
        found: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for (mlapp, alert_id), states in self._alerts.items():
            if mlapp.rpartition("-")[0] in names and AlertState.FIRING.value in states:
                found[mlapp][alert_id] = states
        return found

    def has(self, expected: dict[tuple[str, str], Life]) -> bool:
        """Whether at least as much has come as is expected."""
        self.poll()
        return all(len(self.lives.get(subject, ())) >= len(life) for subject, life in expected.items())

    def close(self) -> None:
        self._consumer.close()


def differences(expected: dict[tuple[str, str], Life], observed: Observed) -> list[str]:
    """The first subjects whose lives are not those expected, in words; empty when all is right."""
    found = []
    for subject in sorted(expected.keys() | observed.lives.keys()):
        wanted, life = expected.get(subject, []), observed.lives.get(subject, [])
        if any(at == -1 for _, at in wanted):
            life = [(state, -1) for state, _ in life]
        if life != wanted:
            at = next((n for n, pair in enumerate(zip(wanted, life, strict=False)) if pair[0] != pair[1]), -1)
            at = min(len(wanted), len(life)) if at < 0 else at
            found.append(
                f"{'/'.join(subject)}: {len(life)} of {len(wanted)} transitions, "
                f"from {at} on expected {wanted[at : at + 4]}, found {life[at : at + 4]}"
            )
    return found[:5]


def assert_exact(load: Load, observed: Observed) -> None:
    """Nothing is missed, nothing doubled, each life in its order, and one dead letter for each poison record."""

    def all_there() -> bool:
        return observed.has(load.expected()) and len(observed.dead_letters) >= load.poison

    wait_for(all_there, lambda: f"{len(observed.dead_letters)} dead letters of {load.poison}", 30)
    found = differences(load.expected(), observed)
    assert not found, found
    assert len(observed.ids) == len(set(observed.ids)), "an id was written twice"
    places = [
        (each.source_topic, each.source_partition, each.source_offset) for each in observed.dead_letters
    ]
    assert (len(places), len(set(places))) == (load.poison, load.poison)
