"""Lets a rule judge samples of one series without a broker, with a restart after each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parallelm.definitions import parse_definition, to_record
from parallelm.stream_processors.alerts import series
from parallelm.stream_processors.alerts.rules import SampleRule, core_of
from parallelm.stream_processors.alerts.series import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.series import Changes

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def rule_of(text: str) -> SampleRule:
    """The rule with these keys, in YAML's flow style."""
    source = (
        f"mlapp: app\nnodes: [{{id: n, type: auxiliary}}]\nalerts:\n  - {{name: r, statistic: x, {text}}}\n"
    )
    record = to_record(parse_definition(source, "f"), source, version=1, applied_by="me", event_time_ms=0)
    rule = core_of("app", record.rules[0])
    assert isinstance(rule, SampleRule)
    return rule


def verdicts(text: str, samples: Iterable[tuple[float, float]]) -> list[bool | None]:
    """What a rule says of each sample."""
    rule, detector, found = rule_of(text), None, []
    for at_ms, value in samples:
        after, breached = rule.judge(detector, at_ms, value)
        found.append(breached)
        detector = json.loads(json.dumps(after))
    return found


def steps_of(text: str, samples: Iterable[tuple[float, float]]) -> list[Step]:
    """Changes of state over the samples, each in a record of its own."""
    rule, memory, changes = rule_of(text), Memory(), list[tuple["Step", int]]()
    for offset, (at_ms, value) in enumerate(samples):
        found: Changes = []
        memory = series.absorb(memory, rule, [(at_ms, value)], int(at_ms), offset, found, "x")
        memory = Memory.from_json(json.loads(json.dumps(memory)))
        changes += found
    return [step for step, _ in changes]


def each(step_ms: float, values: Iterable[float]) -> list[tuple[float, float]]:
    """Values at equal distances."""
    return [(at * step_ms, value) for at, value in enumerate(values)]
