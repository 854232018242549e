"""Gates and windows: what measurements say, and when a policy may deploy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions.conditions import holds, parse_condition
from parallelm.stream_processors.model_policy.gates import GateRun, GateVerdict, measure, verdict_of
from parallelm.stream_processors.model_policy.settings import Gate, Window
from parallelm.stream_processors.model_policy.windows import opens_ms

MINUTE = 60_000
GOOD = Gate("accuracy", ">= 0.9")


def judged(gate: Gate, *values: float, step_ms: int = MINUTE, waited_ms: float = 0) -> GateVerdict:
    run = measure(gate, GateRun(), [(n * step_ms, value) for n, value in enumerate(values)])
    return verdict_of(gate, run, waited_ms)


@pytest.mark.parametrize(
    ("gate", "values", "verdict"),
    [
        (GOOD, [], "waiting"),
        (GOOD, [0.9], "passed"),
        (GOOD, [0.89], "failed"),
        (GOOD, [0.95, 0.1], "passed"),
        (GOOD, [float("nan")], "failed"),
        (replace(GOOD, failure_limit=1), [0.1, 0.95], "passed"),
        (replace(GOOD, failure_limit=1), [0.1, 0.1], "failed"),
        (replace(GOOD, failure_condition="< 0.5"), [0.7], "inconclusive"),
        (replace(GOOD, failure_condition="< 0.5", inconclusive_limit=1), [0.7, 0.95], "passed"),
        (replace(GOOD, failure_condition="< 0.5"), [0.4], "failed"),
        (replace(GOOD, count=3), [0.95, 0.95], "waiting"),
        (replace(GOOD, count=3), [0.95] * 3, "passed"),
        (replace(GOOD, min_samples=3), [0.95, 0.95], "waiting"),
        (replace(GOOD, min_samples=3), [0.6, 0.95, 1.2], "passed"),
        (replace(GOOD, min_samples=2, aggregate="min"), [0.95, 0.5], "failed"),
        (replace(GOOD, min_samples=2, aggregate="max"), [0.95, 0.5], "passed"),
        (replace(GOOD, min_samples=2, aggregate="last"), [0.95, 0.5], "failed"),
        (replace(GOOD, min_samples=2, aggregate="sum"), [0.5, 0.5], "passed"),
        (replace(GOOD, min_samples=2, aggregate="count"), [0.5, 0.5], "passed"),
    ],
)
def test_measurements_make_the_verdict(gate: Gate, values: list[float], verdict: str):
    assert judged(gate, *values) == verdict


def test_a_measurement_is_the_aggregate_of_an_interval_once_the_next_has_begun():
    gate = replace(GOOD, interval_ms=10 * MINUTE, min_samples=2, inconclusive_limit=5)
    assert judged(gate, *[0.95] * 10) is GateVerdict.WAITING
    assert judged(gate, *[0.95] * 11) is GateVerdict.PASSED
    assert judged(gate, *[0.95] * 9, 0.0, 0.0) is GateVerdict.FAILED
    run = measure(gate, GateRun(), [(0, 0.95), (45 * MINUTE, 0.95)])
    assert (run.inconclusive, run.window_ms) == (1, 40 * MINUTE)


def test_without_data_a_gate_waits_for_its_time_and_then_fails_or_passes():
    gate = replace(GOOD, wait_ms=MINUTE)
    assert judged(gate, waited_ms=MINUTE - 1) is GateVerdict.WAITING
    assert judged(gate, waited_ms=MINUTE) is GateVerdict.FAILED
    assert judged(replace(gate, must_have_data=False), waited_ms=MINUTE) is GateVerdict.PASSED
    assert judged(replace(gate, wait_ms=0), waited_ms=10**12) is GateVerdict.WAITING


@given(st.lists(st.floats(0, 1), max_size=30), st.integers(0, 30))
def test_samples_may_come_in_any_portions(values: list[float], cut: int):
    gate = replace(GOOD, interval_ms=3 * MINUTE, failure_limit=2, inconclusive_limit=9, count=4)
    samples = [(float(n * MINUTE), value) for n, value in enumerate(values)]
    whole = measure(gate, GateRun(), samples)
    assert measure(gate, measure(gate, GateRun(), samples[:cut]), samples[cut:]) == whole


@pytest.mark.parametrize("text", ["", "0.9", "=> 0.9", ">= ", ">= nan", ">= inf", "> 1 2", "≥ 1"])
def test_what_is_no_condition_is_refused_with_what_is(text: str):
    with pytest.raises(ValueError, match=r"write an operator \(>=, <=, ==, !=, >, <\) and a number"):
        parse_condition(text)


def test_conditions_hold_as_they_are_written():
    assert [holds(f"{name} 1", 1.0) for name in (">=", "<=", "==", "!=", ">", "<")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert not holds("!= 1", float("nan"))


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


OFFICE = Window("0 8 * * 1-5", 9 * 60 * MINUTE)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-01-01T00:00", "2026-01-01T08:00"),
        ("2026-01-01T08:00", "2026-01-01T08:00"),
        ("2026-01-01T16:59", "2026-01-01T16:59"),
        ("2026-01-01T17:00", "2026-01-02T08:00"),
        ("2026-01-02T17:30", "2026-01-05T08:00"),
    ],
)
def test_a_window_is_open_from_its_time_for_its_duration(now: str, opens: str):
    assert opens_ms([OFFICE], ms(now)) == ms(opens)


def test_of_several_windows_any_may_be_open_and_without_windows_it_always_is():
    night = Window("0 22 * * *", 60 * MINUTE)
    assert opens_ms([OFFICE, night], ms("2026-01-02T22:10")) == ms("2026-01-02T22:10")
    assert opens_ms([], 5) == 5


@given(
    st.integers(0, 4_000_000_000_000),
    st.sampled_from(("*/7 * * * *", "0 8 * * 1-5", "30 2 29 2 *")),
    st.integers(1, 90),
)
def test_the_next_window_is_now_or_later_and_open_then(now_ms: int, cron: str, minutes: int):
    windows = [Window(cron, minutes * MINUTE)]
    at_ms = opens_ms(windows, now_ms)
    assert at_ms >= now_ms
    assert opens_ms(windows, at_ms) == at_ms
