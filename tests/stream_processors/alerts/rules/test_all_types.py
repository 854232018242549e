"""What holds for every type of rule: form and core match, and what is remembered is small plain JSON."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelm.definitions.rules import RULE_FORMS
from parallelm.schemas.records import AggregateKind, Origin, RecordPosition, RuleAggregate
from parallelm.stream_processors.alerts import series, windowed
from parallelm.stream_processors.alerts.rules import RULE_CORES, SampleRule
from parallelm.stream_processors.alerts.series import Memory
from parallelm.stream_processors.runtime.stored_state import BodyKind
from parallelm.stream_processors.series_stage.pages import PageBody

from .samples import MINUTE, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.stream_processors.alerts.series import Changes

SAMPLE_RULES = {
    "threshold": ["above: 0.5", "below: -3, grace: 1m"],
    "rate_of_change": [
        "over: 1h, above: 3",
        "over: 1ms, beyond: 3, per: 2w",
        "over: 1h, relative: true, below: -0.1",
        "over: 10m, counter: true, per: 1h, above: 5, for: 5m",
    ],
    "z_score": [
        "beyond: 3",
        "below: -2, samples: 5, min_samples: 2, baseline: mean",
        "above: 1, samples: 500, baseline: mean, for: 10m",
        "above: 4, samples: 500, baseline: median, min_spread: 0.1",
    ],
    "change_point": [
        "direction: increase, check_every: 1",
        "delta: 0.9, check_every: 3, settle_samples: 5",
        "method: page_hinkley, threshold: 3, alpha: 0.5",
        "method: page_hinkley, threshold: 1.0e+300, direction: decrease",
    ],
}
"""Rules of each type that judges samples."""
SMALL_BYTES = 500
"""What needs no mention in ``memory_bytes``."""
EACH = [(name, keys) for name, several in SAMPLE_RULES.items() for keys in several]
EXTREMES = [
    0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324, -5e-324, 2.2e-308, 1e154, -1e155, 1e-170, 0.1, 1e16,
]  # fmt: skip


def test_every_form_has_a_core_and_every_core_a_form():
    """A rule that is accepted is judged."""
    assert sorted(RULE_FORMS) == sorted(RULE_CORES)


def test_every_type_that_judges_samples_is_tested_here():
    assert sorted(SAMPLE_RULES) == sorted(
        name for name, core in RULE_CORES.items() if issubclass(core, SampleRule)
    )


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


def judged(rule: SampleRule, samples: Iterable[tuple[float, float]]) -> int:
    """Judges samples with a restart after each and without one: they must agree. Size of the largest memory."""
    detector: Any = None
    stored: Any = None
    largest = 0
    for at, (at_ms, value) in enumerate(samples):
        unchanged = plain(detector) if at % 50 == 0 else None
        after, breached = rule.judge(detector, at_ms, value)
        after_restart, as_well = rule.judge(stored, at_ms, value)
        assert breached is as_well
        assert breached in {True, False, None}
        if unchanged is not None:
            assert plain(detector) == unchanged, "what was remembered before was changed"
        detector, stored = after, plain(after_restart)
        if at % 50 == 0:
            assert plain(detector) == stored
            largest = max(largest, len(json.dumps(stored)))
    return max(largest, len(json.dumps(stored)))


@pytest.mark.parametrize(("name", "keys"), EACH)
def test_memory_is_bounded_as_its_type_says(name: str, keys: str):
    rng, at_ms, samples = random.Random(7), 1_790_000_000_000.0, []
    level = 0.0
    for at in range(10_000):
        at_ms += rng.choice([0, 1, 100, MINUTE, MINUTE, 7 * MINUTE])
        level = rng.uniform(-1e300, 1e300) if at % 1_000 == 500 else level * 0.97 if abs(level) > 1 else level
        samples.append((at_ms, rng.choice(EXTREMES) if at % 400 == 9 else level + rng.gauss(0.123456789, 1)))
    rule = rule_of(f"type: {name}, {keys}")
    assert judged(rule, samples) <= max(rule.memory_bytes, SMALL_BYTES)


@pytest.mark.parametrize(("name", "keys"), EACH)
@settings(max_examples=40)
@given(data=st.data())
def test_any_numbers_at_any_times_are_judged(name: str, keys: str, data: st.DataObject):
    """``judge`` never hears of NaN or of times out of order, but must not fail on the latter."""
    numbers = st.sampled_from(EXTREMES) | st.floats(allow_nan=False)
    times = st.sampled_from([0.0, 1.0, 60_000.0, 3_600_000.0, 1.79e12]) | st.integers(0, 10**10).map(float)
    samples = data.draw(st.lists(st.tuples(times, numbers), max_size=60))
    judged(rule_of(f"type: {name}, {keys}"), samples)


@pytest.mark.parametrize(("name", "keys"), EACH)
@settings(max_examples=40)
@given(data=st.data())
def test_every_step_has_its_numbers_and_a_sentence(name: str, keys: str, data: st.DataObject):
    """Also through what stands around ``judge``, which keeps NaN and late samples from it."""
    numbers = st.sampled_from([0.0, 1.0, 50.0, -50.0, 1e9]) | st.sampled_from([*EXTREMES, math.nan])
    samples = data.draw(st.lists(st.tuples(st.integers(-1, 40 * MINUTE), numbers), max_size=80))
    rule, memory, changes = rule_of(f"type: {name}, {keys}"), Memory(), list[Any]()
    at_ms = 1_790_000_000_000
    for offset, (distance, value) in enumerate(samples):
        at_ms += distance
        found: Changes = []
        memory = series.absorb(memory, rule, [(at_ms, value)], at_ms, offset, found, "the statistic")
        memory = Memory.from_json(json.loads(json.dumps(memory)))
        changes += found
    for step, _ in changes:
        assert not math.isnan(step.value) or "no samples from" in step.reason
        assert "the statistic" in step.reason or "no samples from" in step.reason
        assert "nan" not in step.reason


@pytest.mark.parametrize(("name", "keys"), EACH)
def test_a_page_of_the_changelog_gives_back_what_is_remembered(name: str, keys: str):
    rule, memory, rng = rule_of(f"type: {name}, {keys}"), Memory(), random.Random(3)
    for at in range(300):
        memory = series.absorb(memory, rule, [(at * MINUTE, rng.gauss(0, 1))], at * MINUTE, at, [], "x")
    kind = BodyKind(PageBody)
    page = kind.from_json(1, kind.to_json(PageBody(["app", "n", "", "a"], [memory])).decode())
    assert json.dumps(Memory.from_json(page.slots[0])) == json.dumps(memory)


@pytest.mark.parametrize(
    "keys",
    [
        "type: rate_of_change, over: 1h, above: 3",
        "type: z_score, beyond: 8",
        "type: change_point, check_every: 1, settle_samples: 3",
    ],
)
def test_values_of_windows_over_several_series_are_judged_as_samples_are(keys: str):
    rule, memory, rng = rule_of(f"{keys}, aggregate: avg, window: 10m"), None, random.Random(4)
    states = []
    for at in range(120):
        level = rng.gauss(10 if at < 60 or at > 65 else 20, 0.1)
        part = RuleAggregate(
            origin=Origin(mlapp_id="app", node_id="n", pipeline_instance_id="", agent_id="a"),
            kind=AggregateKind.PARTIAL,
            rule="r",
            rule_form=rule.settings.form,
            statistic="x",
            labels={},
            model_id="",
            event_time_ms=at * 10 * MINUTE,
            timestamps_ms=[at * 10.0 * MINUTE],
            values=[2.0, 2 * level, level, level],
            cause=RecordPosition(topic="t", partition=0, offset=at),
        )
        arrived_ms = at * 10 * MINUTE
        absorbed = windowed.absorb_part(memory, rule, part, arrived_ms)
        # The clock says which partitions report: here one, and nobody else is waited for.
        timed = windowed.on_time(json.loads(json.dumps(absorbed.memory)), rule, arrived_ms + MINUTE)
        memory = json.loads(json.dumps(timed.memory))
        states += [step.state.value for step in (*absorbed.steps, *timed.steps)]
    assert states[:2] == ["firing", "resolved"]
    assert states[-1] == "resolved"
