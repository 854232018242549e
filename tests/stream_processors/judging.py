"""One series under one rule, judged without Kafka: what the tests of rules share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from parallelm.definitions import parse_definition, to_record
from parallelm.stream_processors.alerts.rules import SampleRule, core_of
from parallelm.stream_processors.alerts.series import Memory, absorb, due_ms, on_time
from parallelm.stream_processors.runtime.stored_state import BodyKind
from parallelm.stream_processors.series_stage.pages import PageBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.series import Changes

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOW = 1_790_000_000_000
"""The broker's clock."""
NAN = math.nan
LEGAL = {
    ("inactive", "pending"), ("inactive", "firing"), ("pending", "firing"), ("pending", "inactive"), ("firing", "resolved"),
}  # fmt: skip


def rule(text: str = "above: 0.5") -> SampleRule:
    """A threshold rule on ``x`` as an engineer writes it."""
    source = f"mlapp: app\nnodes: [{{id: n, type: model_producer}}]\nalerts:\n  - {{name: r, type: threshold, statistic: x, {text}}}\n"
    record = to_record(parse_definition(source, "f"), source, version=1, applied_by="me", event_time_ms=0)
    core = core_of("app", record.rules[0])
    assert isinstance(core, SampleRule)
    return core


class Judge:
    """One series under one rule."""

    def __init__(self, text: str = "above: 0.5") -> None:
        self.rule = rule(text)
        self.memory: Memory | None = Memory()
        self.steps: list[Step] = []
        self._offset = 0

    def __call__(self, *samples: tuple[float, float], arrived_ms: float = NOW) -> Judge:
        """One record."""
        changes: Changes = []
        memory = self.memory or Memory()
        self.memory = absorb(memory, self.rule, samples, int(arrived_ms), self._offset, changes, "x")
        self._offset += 1
        self.steps += [step for step, _ in changes]
        return self

    def each(self, samples: Iterable[tuple[float, float]], arrived_ms: float = NOW) -> Judge:
        """A record for each sample."""
        for sample in samples:
            self(sample, arrived_ms=arrived_ms)
        return self

    def wait(self, now_ms: float) -> Judge:
        """The broker's clock goes on: to every time at which the series is due, and to ``now_ms``."""
        while self.memory is not None and due_ms(self.memory, self.rule.settings) <= now_ms:
            due = due_ms(self.memory, self.rule.settings)
            changes: Changes = []
            self.memory = on_time(self.memory, self.rule, due, changes, "x")
            self.steps += [step for step, _ in changes]
        return self

    def states(self, unit: float = DAY) -> list[tuple[str, float]]:
        return [(step.state.value, step.at_ms / unit) for step in self.steps]


def days(values: Sequence[float], unit: float = DAY) -> list[tuple[float, float]]:
    """A sample a day from day 0 on."""
    return [(day * unit, value) for day, value in enumerate(values)]


def assert_legal_steps(steps: Sequence[Step]) -> None:
    state, started, starts = "inactive", None, set()
    for step in steps:
        assert (step.previous_state.value, step.state.value) in LEGAL, steps
        assert step.previous_state.value == state
        if state == "inactive":
            assert step.started_ms not in starts, "two episodes with one start are one alert"
            started = step.started_ms
            starts.add(started)
        assert step.started_ms == started
        assert step.at_ms >= step.started_ms
        state = "inactive" if step.state.value == "resolved" else step.state.value


def restarted(judge: Judge) -> None:
    """As the changelog gives it back."""
    kind = BodyKind(PageBody)
    body = kind.from_json(1, kind.to_json(PageBody(["a"], [judge.memory])).decode())
    judge.memory = Memory.from_json(body.slots[0])
