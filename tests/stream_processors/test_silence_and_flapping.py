"""A series that stops, comes and goes, or flips at each sample: what becomes of its alert, and of what is remembered."""

from __future__ import annotations

import json

import pytest

from parallelm.stream_processors.alerts.lifecycle import FLAP_LIMIT, FLAP_WINDOW_MS
from parallelm.stream_processors.alerts.series import DEFAULT_STALE_MS, FORGET_MS

from .judging import DAY, HOUR, MINUTE, NAN, NOW, SECOND, Judge, assert_legal_steps, days

# ---- silence --------------------------------------------------------------------------------------------------------


def test_a_series_that_has_stopped_resolves_its_alert_and_is_forgotten():
    judge = Judge("above: 0.5, stale_after: 10m")((HOUR, 0.9))
    assert judge.wait(NOW + 10 * MINUTE - 1).states(HOUR) == [("firing", 1)]
    judge.wait(NOW + 10 * MINUTE)
    assert judge.states(MINUTE) == [("firing", 60), ("resolved", 70)]
    assert judge.steps[1].reason == "no sample for 10m"
    assert judge.wait(NOW + 2 * HOUR).memory is None
    assert len(judge.steps) == 2


@pytest.mark.parametrize(("every_ms", "stale_ms"), [(MINUTE, DEFAULT_STALE_MS), (DAY, 5 * DAY)])
def test_by_default_a_series_has_stopped_after_a_day_or_five_times_its_usual_distance(
    every_ms: int, stale_ms: int
):
    judge = Judge().each(days((0, 0, 0, 0, 0, 0.9), every_ms))
    assert len(judge.wait(NOW + stale_ms - 1).steps) == 1
    assert judge.wait(NOW + stale_ms).steps[1].state.value == "resolved"
    assert judge.wait(NOW + stale_ms + FORGET_MS).memory is None


@pytest.mark.parametrize(
    ("no_data", "value", "expected"),
    [
        ("ok", 0.9, ["firing", "resolved"]),
        ("ok", 0.1, []),
        ("keep", 0.9, ["firing"]),
        ("keep", 0.1, []),
        ("alerting", 0.9, ["firing"]),
        ("alerting", 0.1, ["firing"]),
    ],
)
def test_silence_is_what_the_rule_says(no_data: str, value: float, expected: list[str]):
    judge = Judge(f"above: 0.5, stale_after: 10m, no_data: {no_data}")((HOUR, value)).wait(NOW + 90 * DAY)
    assert [step.state.value for step in judge.steps] == expected
    keeps = expected[-1:] == ["firing"]
    assert (judge.memory is not None) == keeps, "what is over is forgotten, what is open is not"


def test_an_alert_of_silence_ends_with_the_next_sample_that_is_no_breach():
    judge = Judge("above: 0.5, stale_after: 1d, no_data: alerting")((HOUR, 0.1)).wait(NOW + DAY)
    assert judge.steps[0].reason == "no sample for 1d"
    # Event time does not go with the broker's clock: it is a replay, or what was held up.
    judge((HOUR + MINUTE, 0.1), arrived_ms=NOW + DAY + MINUTE)
    assert [step.state.value for step in judge.steps] == ["firing", "resolved"]
    assert_legal_steps(judge.steps)


def test_a_pending_alert_fires_when_silence_is_one():
    judge = Judge("above: 0.5, for: 1h, stale_after: 10m, no_data: alerting")((HOUR, 0.9)).wait(NOW + HOUR)
    assert [step.state.value for step in judge.steps] == ["pending", "firing"]
    assert_legal_steps(judge.steps)


@pytest.mark.parametrize("no_data", ["ok", "keep", "alerting"])
def test_a_series_of_nans_is_not_judged_whatever_time_passes(no_data: str):
    judge = Judge(f"above: 0.5, no_data: {no_data}, stale_after: 10m")((HOUR, NAN)).wait(NOW + 90 * DAY)
    assert judge.steps == []
    assert judge.memory is None


@pytest.mark.parametrize("no_data", ["ok", "alerting"])
def test_a_series_that_comes_and_goes_has_a_bounded_number_of_transitions(no_data: str):
    judge = Judge(f"above: 0.5, stale_after: 1s, no_data: {no_data}")
    for second in range(0, 3_000, 2):
        value = 0.9 if no_data == "ok" else 0.1
        judge((NOW + second * SECOND, value), arrived_ms=NOW + second * SECOND).wait(
            NOW + (second + 1) * SECOND
        )
    assert_legal_steps(judge.steps)
    firing = [step for step in judge.steps if step.state.value == "firing"]
    assert 0 < len(firing) < 20


# ---- flapping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["above: 0.5", "above: 0.5, for: 1s", "above: 0.5, for: 1s, keep_firing_for: 1s"]
)
@pytest.mark.parametrize("distance_ms", [0, 1, SECOND, 10 * SECOND])
@pytest.mark.parametrize("together", [True, False])
def test_twelve_thousand_flips_cost_a_bounded_number_of_transitions_and_a_small_state(
    text: str, distance_ms: int, together: bool
):
    start = NOW - DAY
    flips = [(start + at * distance_ms, float(at % 2)) for at in range(12_000)]
    judge = Judge(text)(*flips) if together else Judge(text).each(flips)
    assert_legal_steps(judge.steps)
    hours = 12_000 * distance_ms / HOUR
    assert len(judge.steps) <= 2 * (FLAP_LIMIT + 1) * (hours + 1)
    assert len(json.dumps(judge.memory)) < 1_000


def test_an_alert_that_flapped_ends_when_it_is_calm_and_later_begins_as_any_other():
    judge = Judge().each((at * MINUTE, float(at % 2)) for at in range(60))
    assert judge.steps[-1].state.value == "firing"
    judge.each((at * MINUTE, 0.0) for at in range(60, 75))
    assert judge.states(MINUTE)[-1] == ("resolved", 69)
    later = 75 * MINUTE + FLAP_WINDOW_MS
    judge.each([(later, 1), (later + MINUTE, 0)])
    assert judge.states(MINUTE)[-2:] == [("firing", later / MINUTE), ("resolved", later / MINUTE + 1)]
