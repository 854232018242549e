"""``rate_of_change``: how much has a statistic changed within a time?"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.stream_processors.alerts.rules.rate_of_change import PARTS

from .samples import DAY, HOUR, MINUTE, each, rule_of, steps_of, verdicts

RISE = "type: rate_of_change, over: 1h, above: 5"


def test_a_rise_fires_until_it_is_further_back_than_the_time():
    steps = steps_of(RISE, each(10 * MINUTE, [1.0] * 8 + [9.0] * 12))
    assert [(step.state.value, step.at_ms / MINUTE) for step in steps] == [("firing", 80), ("resolved", 140)]
    assert [(step.value, step.threshold) for step in steps] == [(8.0, 5.0), (0.0, 5.0)]
    assert [step.reason for step in steps] == [
        "x changed by +8, from 1 to 9 in 1h, above 5",
        "x changed by +0, from 9 to 9 in 1h, no longer above 5",
    ]


@pytest.mark.parametrize(
    ("keys", "earlier", "later", "minutes", "sentence"),
    [
        ("below: -3", 5, 1, 60, "x changed by -4, from 5 to 1 in 1h, below -3"),
        ("beyond: 3", 5, 1, 60, "x changed by -4, from 5 to 1 in 1h, beyond ±3"),
        ("beyond: 3", 1, 5, 60, "x changed by +4, from 1 to 5 in 1h, beyond ±3"),
        ("per: 1m, above: 1", 0, 120, 60, "x changed by +2 per 1m, from 0 to 120 in 1h, above 1 per 1m"),
        ("per: 1m, above: 1", 0, 120, 80, "x changed by +1.5 per 1m, from 0 to 120 in 1h20m, above 1 per 1m"),
        ("per: 1m, above: 1", 0, 120, 240, None),
        ("relative: true, above: 0.5", 10, 16, 60, "x changed by +60 %, from 10 to 16 in 1h, above 50 %"),
        ("relative: true, below: -0.5", -10, -16, 60, "x changed by -60 %, from -10 to -16 in 1h, below -50 %"),
        ("relative: true, above: 0.5", 0, 1e-9, 60, "x changed by +inf %, from 0 to 1e-09 in 1h, above 50 %"),
        ("relative: true, above: 0.5", 0, 0, 60, None),
        ("relative: true, below: -0.5", 0, -1, 60, "x changed by -inf %, from 0 to -1 in 1h, below -50 %"),
        ("relative: true, above: 0.5", 1e-320, 1e300, 60, "x changed by +inf %, from 1e-320 to 1e+300 in 1h, above 50 %"),
        ("above: 5", 1, math.inf, 60, "x changed by +inf, from 1 to inf in 1h, above 5"),
        ("below: -5", -1e308, 1e308, 60, None),
        ("above: 5", -1e308, 1e308, 60, "x changed by +inf, from -1e+308 to 1e+308 in 1h, above 5"),
    ],
)  # fmt: skip
def test_two_samples(keys: str, earlier: float, later: float, minutes: int, sentence: str | None):
    text = f"type: rate_of_change, over: 1h, {keys}"
    steps = steps_of(text, [(0, earlier), (minutes * MINUTE, later)])
    assert [step.reason for step in steps] == ([sentence] if sentence else [])
    assert verdicts(text, [(0, earlier), (minutes * MINUTE, later)]) == [None, sentence is not None]


def test_nothing_is_known_before_samples_cover_the_time_and_then_everything():
    assert verdicts(RISE, each(15 * MINUTE, [0, 50, 100, 150, 200, 200])) == [None] * 4 + [True] * 2


def test_daily_samples_that_come_some_minutes_early_are_compared_with_those_of_the_day_before():
    text = "type: rate_of_change, over: 1d, above: 5"
    late_and_early = [(day * DAY + (20 * MINUTE if day % 2 == 0 else 0), 4.0 * day) for day in range(6)]
    assert verdicts(text, late_and_early) == [None] + [False] * 5


def test_after_a_gap_a_sample_is_compared_with_the_last_before_it():
    samples = [(0, 1.0), (HOUR, 1.0), (20 * HOUR, 9.0), (20 * HOUR + MINUTE, 9.0), (21 * HOUR + MINUTE, 9.0)]
    assert verdicts(RISE, samples) == [None, False, True, True, False]
    assert verdicts(RISE + ", per: 1h", samples) == [None, False, False, False, False]


def test_an_infinite_sample_breaches_and_is_nothing_to_compare_later_ones_with():
    samples = [(at, math.inf if at == 10 * MINUTE else -math.inf if at == HOUR else 1.0)
               for at in range(0, 3 * HOUR, 5 * MINUTE)]  # fmt: skip
    found = verdicts("type: rate_of_change, over: 30m, beyond: 5", samples)
    assert [at for at, verdict in enumerate(found) if verdict] == [HOUR // (5 * MINUTE)]


def test_the_last_report_of_a_time_is_what_later_samples_are_compared_with():
    assert verdicts(RISE, [(0, 0.0), (0, 9.0), (HOUR, 10.0)]) == [None, None, False]


def test_a_counter_that_begins_again_goes_on_counting():
    counted = [0, 10, 20, 3, 13, 23]  # 20 + 3 and so on
    text = "type: rate_of_change, over: 10m, per: 1m, counter: true, above: 0.9"
    assert verdicts(text, each(10 * MINUTE, counted)) == [None, True, True, False, True, True]
    steps = steps_of(text.replace("0.9", "0.2"), each(10 * MINUTE, counted))
    assert steps[0].reason == "x counted +1 per 1m, from 0 to 10 in 10m, above 0.2 per 1m"
    assert len(steps) == 1
    fallen = "type: rate_of_change, over: 10m, below: 5, counter: true"
    assert verdicts(fallen, each(10 * MINUTE, [0, 10, 20, 3])) == [None, False, False, True]


@given(
    distances=st.lists(st.integers(1, 90 * MINUTE), min_size=1, max_size=400),
    values=st.lists(st.integers(-50, 50), min_size=400, max_size=400),
)
def test_it_says_what_a_comparison_with_all_earlier_samples_says(distances: list[int], values: list[int]):
    """The sample that it compares with is old enough, and no older than thinning makes it."""
    rule, detector = rule_of(RISE), None
    seen: list[tuple[float, float]] = []
    at_ms = 0
    for distance, value in zip(distances, values, strict=False):
        at_ms += distance
        slack = HOUR / PARTS
        newest = max((time for time, _ in seen if at_ms - time >= HOUR - slack), default=None)
        after, breached = rule.judge(detector, at_ms, float(value))
        if newest is None:
            assert breached is None
        else:
            possible = [earlier for time, earlier in seen if newest - slack <= time <= newest]
            assert breached in {value - earlier > 5 for earlier in possible}
            assert len(after.kept) <= PARTS + 2
        seen.append((at_ms, value))
        detector = after
