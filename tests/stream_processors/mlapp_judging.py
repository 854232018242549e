"""Lets a rule of the MLApp's partition judge records without a broker, as the worker does it between restarts."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.records import AlertState
from parallelm.stream_processors.alerts.rules import MLAppRule, core_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.schemas.records import MLAppDefinition
    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rules import Observation, Progress

Labels = tuple[tuple[str, str], ...]

NODES = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
policy: {canary_threshold: 0.25}
alerts:
"""


def definition_of(*rules: str) -> MLAppDefinition:
    """Definition with rules in YAML's flow style: ``{name: x, type: no_data, for: 1m}``."""
    text = NODES + "".join(f"  - {rule}\n" for rule in rules)
    return to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)


class Judge:
    """One rule with its groups. What it remembers passes through JSON after every step, as at a restart."""

    def __init__(self, rule: str) -> None:
        self.definition = definition_of(rule)
        core = core_of("app", self.definition.rules[0])
        assert isinstance(core, MLAppRule)
        self.rule = core
        self.memories: dict[Labels, Any] = {}
        self.due: dict[Labels, float] = {}
        self.steps: dict[Labels, list[Step]] = defaultdict(list)

    def apply(self, now_ms: int) -> None:
        """The definition arrives."""
        for observation in self.rule.expected(self.definition):
            if _key(observation) not in self.memories:
                self._observe(observation, now_ms)

    def record(self, record: object, arrived_ms: int) -> None:
        """A record of a class that the rule looks at arrives."""
        assert isinstance(record, self.rule.records)
        for observation in self.rule.observe(record):
            self._observe(observation, arrived_ms)

    def clock(self, now_ms: int) -> None:
        """Everything that had arrived by now is handled."""
        for key, due_ms in sorted(self.due.items(), key=lambda item: item[1]):
            if due_ms <= now_ms and key in self.memories:
                self._take(key, self.rule.on_time(self.memories[key], now_ms))
        assert all(due_ms > now_ms for due_ms in self.due.values()), (
            "time would be called for again and again"
        )

    def states(self, **labels: str) -> list[tuple[str, float]]:
        """State and time of each step of a group."""
        key = tuple(sorted(labels.items()))
        return [(step.state.value, step.at_ms) for step in self.steps[key]]

    def _observe(self, observation: Observation, arrived_ms: int) -> None:
        key = _key(observation)
        self._take(key, self.rule.absorb(self.memories.get(key), observation.payload, arrived_ms))

    def _take(self, key: Labels, progress: Progress) -> None:
        self.steps[key] += progress.steps
        self.due.pop(key, None)
        if progress.memory is None:
            self.memories.pop(key, None)
            return
        self.memories[key] = json.loads(json.dumps(progress.memory))
        if progress.due_ms is not None:
            self.due[key] = progress.due_ms


def _key(observation: Observation) -> Labels:
    return tuple(sorted(observation.labels.items()))


ALLOWED = {
    AlertState.INACTIVE: {AlertState.PENDING, AlertState.FIRING},
    AlertState.PENDING: {AlertState.FIRING, AlertState.INACTIVE},
    AlertState.FIRING: {AlertState.RESOLVED},
    AlertState.RESOLVED: {AlertState.PENDING, AlertState.FIRING},
}


def assert_legal(steps: Iterable[Step]) -> None:
    """Pending, firing, resolved in this order, each once an episode, and none before the one before it."""
    state, at_ms, seen = AlertState.INACTIVE, float("-inf"), set()
    for step in steps:
        assert step.state in ALLOWED[state], f"{state} -> {step.state}"
        before = AlertState.INACTIVE if state is AlertState.RESOLVED else state
        assert step.previous_state is before
        assert step.at_ms >= at_ms
        assert step.started_ms <= step.at_ms
        assert step.reason
        identity = (step.started_ms, step.state)
        assert identity not in seen, "an episode has a state twice"
        seen.add(identity)
        state, at_ms = step.state, step.at_ms
