"""What samples make of an alert: tables of the life cycle, and properties over any order and any split of samples."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.stream_processors.alerts.event_time import MAX_AHEAD_MS
from parallelm.stream_processors.alerts.series import Memory

from .judging import DAY, HOUR, MINUTE, NAN, NOW, SECOND, Judge, assert_legal_steps, days, restarted


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("above: 0.5", (0, 1, 1, 0), [("firing", 1), ("resolved", 3)]),
        ("above: 0.5", (1, 0, 1), [("firing", 0), ("resolved", 1), ("firing", 2)]),
        ("above: 0.5", (0, 0.5, 0), []),
        ("below: 0.5", (1, 0.5, 0.4), [("firing", 2)]),
        ("above: 0.5", (math.inf, -math.inf), [("firing", 0), ("resolved", 1)]),
        ("above: 0.5, for: 3d", (1, 1, 1, 1, 0), [("pending", 0), ("firing", 3), ("resolved", 4)]),
        ("above: 0.5, for: 3d", (1, 1, 1, 0, 1), [("pending", 0), ("inactive", 3), ("pending", 4)]),
        ("above: 0.5, keep_firing_for: 2d", (1, 0, 1, 0, 0, 0), [("firing", 0), ("resolved", 4)]),
        ("above: 0.5, for: 1d, keep_firing_for: 2d", (1, 0, 1), [("pending", 0), ("inactive", 1), ("pending", 2)]),
    ],
)  # fmt: skip
def test_an_alert_is_pending_fires_and_is_resolved(
    text: str, values: tuple[float, ...], expected: list[tuple[str, float]]
):
    apart = Judge(text).each(days(values))
    assert apart.states() == expected
    assert Judge(text)(*days(values)).steps == apart.steps, "in one record"
    assert_legal_steps(apart.steps)


# ---- gaps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", ["nothing", "nan", "restart"])
def test_two_breaches_twenty_days_apart_are_not_one_that_lasted(between: str):
    judge = Judge("above: 0.5, for: 3d")((0, 1))
    if between == "nan":
        judge.each([(day * DAY, NAN) for day in range(1, 20)])
    if between == "restart":
        restarted(judge)
    judge((20 * DAY, 1))
    assert judge.states() == [("pending", 0), ("inactive", 20), ("pending", 20)]
    assert "no samples from 20d before" in judge.steps[1].reason
    judge.each([(21 * DAY, 1), (22 * DAY, 1), (23 * DAY, 1)])
    assert judge.states()[3:] == [("firing", 23)]
    assert judge.steps[3].started_ms == 20 * DAY


@pytest.mark.parametrize(
    ("text", "before", "gap_days", "holds"),
    [
        ("for: 10d", 1, 5, True),
        ("for: 10d", 1, 5.1, False),
        ("for: 10d", 4, 8, False),  # four samples are three distances: too few
        ("for: 2d", 5, 5, True),  # five samples a day apart: five times their median distance
        ("for: 2d", 5, 5.1, False),
        ("for: 2d", 30, 5, True),
        ("for: 2d, max_gap: 2d", 30, 2, True),
        ("for: 2d, max_gap: 2d", 30, 2.1, False),
        ("for: 20d", 30, 10, True),  # half of ``for`` is longer
        ("for: 2d, max_gap: 1h", 30, 1, False),
    ],
)
def test_a_breach_is_held_over_as_long_a_gap_as_the_series_usually_leaves(
    text: str, before: int, gap_days: float, holds: bool
):
    calm = [(day * DAY, 0.0) for day in range(before - 1)]
    begin = (before - 1) * DAY
    judge = Judge(f"above: 0.5, {text}").each([*calm, (begin, 1), (begin + gap_days * DAY, 1)])
    interrupted = "inactive" in {step.state.value for step in judge.steps}
    assert interrupted is not holds


def test_the_gap_in_question_is_not_among_those_that_say_what_is_usual():
    samples = [*days((0, 0, 0, 0)), (4 * DAY, 1), (5 * DAY, 1), (30 * DAY, 1)]
    judge = Judge("above: 0.5, for: 2d").each(samples)
    assert judge.states() == [("pending", 4), ("inactive", 30), ("pending", 30)]


# ---- order and time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("text", "values", "ends"),
    [
        ("above: 0.5", (0.9, 0.7, 0.2), "calm"),
        ("below: 0.5", (0.6, 0.9, 0.3), "firing"),
        ("above: 0.5", (0.2, 0.9), "firing"),
        ("above: 0.5", (0.9, 0.2, 0.9, 0.2), "calm"),
        ("above: 0.5", (0.2, 0.9, 0.2, 0.9), "firing"),
    ],
)
def test_of_reports_of_one_time_the_last_counts(
    together: bool, text: str, values: tuple[float, ...], ends: str
):
    samples = [(DAY, value) for value in values]
    judge = Judge(text)(*samples) if together else Judge(text).each(samples)
    assert_legal_steps(judge.steps)
    assert ("firing" if judge.steps and judge.steps[-1].state.value == "firing" else "calm") == ends
    assert len(judge.steps) <= 1 or not together


def test_reports_within_one_millisecond_are_of_one_time():
    judge = Judge()((DAY + 0.2, 0.9), (DAY + 0.4, 0.1), (DAY + 0.6, 0.9), (DAY + 0.9, 0.1))
    assert judge.steps == []


def test_a_late_sample_changes_nothing():
    judge = Judge().each([(10 * DAY, 0.9), (9 * DAY, 0.1), (5 * DAY, 0.1), (11 * DAY, 0.9)])
    assert judge.states() == [("firing", 10)]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_with_grace_the_order_of_arrival_does_not_matter(order: tuple[int, ...]):
    samples = days((0.1, 0.9, 0.2, 0.9), MINUTE)
    judge = Judge("above: 0.5, grace: 5m").each(samples[at] for at in order)
    assert judge.steps == [], "held back"
    judge((10 * MINUTE, 0.9))
    assert judge.states(MINUTE) == [("firing", 1), ("resolved", 2), ("firing", 3)]


def test_held_samples_are_judged_when_nothing_comes_any_more():
    judge = Judge("above: 0.5, grace: 5m")((MINUTE, 0.9))
    assert judge.wait(NOW + 5 * MINUTE - 1).steps == []
    assert judge.wait(NOW + 5 * MINUTE).states(MINUTE) == [("firing", 1)]


def test_a_sample_later_than_grace_changes_nothing():
    judge = Judge("above: 0.5, grace: 5m").each(days((0.1,) * 30, MINUTE))
    judge.each([(14 * MINUTE, 0.9), (90 * MINUTE, 0.1)])
    assert judge.steps == []


@pytest.mark.parametrize("ahead_ms", [MAX_AHEAD_MS + 1, 366 * DAY])
@pytest.mark.parametrize("grace", ["0s", "1m"])
def test_a_wrong_clock_does_not_deafen_a_series(ahead_ms: int, grace: str):
    judge = Judge(f"above: 0.5, grace: {grace}")((NOW + ahead_ms, 0.1))
    judge((NOW + SECOND, 0.9), arrived_ms=NOW + SECOND).wait(NOW + 2 * MINUTE)
    assert [(step.state.value, step.at_ms - NOW) for step in judge.steps] == [("firing", SECOND)]


def test_a_breach_of_a_clock_that_is_ahead_is_dated_by_the_broker():
    judge = Judge("above: 0.5, for: 1m, max_gap: 1m").each([(NOW + DAY, 0.9)])
    for minute in (1, 2):
        judge((NOW + DAY + minute, 0.9), arrived_ms=NOW + minute * MINUTE)
    assert [(step.state.value, step.at_ms - NOW) for step in judge.steps] == [("pending", 0), ("firing", MINUTE)]  # fmt: skip


@pytest.mark.parametrize("at_ms", [NAN, math.inf, -math.inf, 1e300, -1e300])
def test_a_sample_of_an_impossible_time_is_none(at_ms: float):
    assert Judge()((at_ms, 0.9)).memory == Memory()


# ---- properties -----------------------------------------------------------------------------------------------------

texts = st.builds(
    lambda side, for_, keep, more: f"{side}: 0.5, for: {for_}s, keep_firing_for: {keep}s{more}",
    st.sampled_from(["above", "below"]),
    st.sampled_from([0, 1, 5, 60]),
    st.sampled_from([0, 1, 60]),
    st.sampled_from(["", ", max_gap: 3s", ", stale_after: 1s", ", no_data: alerting, stale_after: 1s", ", no_data: keep"]),
)  # fmt: skip
values = st.sampled_from([0.1, 0.5, 0.9, NAN, math.inf])
samples_of = st.lists(st.tuples(st.integers(0, 40).map(lambda at: NOW + at * 500.0), values), max_size=40)


@given(text=texts, samples=samples_of, cuts=st.lists(st.integers(0, 40)))
def test_samples_in_any_split_into_records_lead_to_the_same_state(
    text: str, samples: list[tuple[float, float]], cuts: list[int]
):
    # Reports of one time count as the last of them: within a record at once, over records one after the other.
    samples = [one for one, following in pairwise([*samples, (0.0, 0.0)]) if one[0] != following[0]]
    whole, parts = Judge(text)(*samples), Judge(text)
    bounds = [0, *sorted(cuts), len(samples)]
    for first, last in pairwise(bounds):
        parts(*samples[first:last])
    assert parts.steps == whole.steps
    assert parts.memory == whole.memory


@given(
    text=texts, samples=samples_of, waits=st.lists(st.integers(0, 3_000), max_size=40), at=st.integers(0, 40)
)
def test_the_steps_of_an_alert_are_legal_and_a_restart_at_any_point_changes_nothing(
    text: str, samples: list[tuple[float, float]], waits: list[int], at: int
):
    judge, other = Judge(text), Judge(text)
    now = NOW
    for number, sample in enumerate(samples):
        now += waits[number] if number < len(waits) else 0
        for each in (judge, other):
            each.wait(now)(sample, arrived_ms=now)
        if number == at and other.memory is not None:
            restarted(other)
    for each in (judge, other):
        each.wait(now + 90 * DAY)
    assert_legal_steps(judge.steps)
    assert other.steps == judge.steps
    assert other.memory == judge.memory
    if "no_data: ok" in text or "no_data" not in text:
        assert judge.memory is None
        assert not judge.steps or judge.steps[-1].state.value in {"inactive", "resolved"}


@given(
    samples=st.lists(st.tuples(st.integers(0, 40).map(lambda at: NOW + at * 500.0), st.sampled_from([0.1, 0.9])), max_size=20, unique_by=lambda sample: sample[0]),
    data=st.data(),
)  # fmt: skip
def test_any_order_within_grace_leads_to_the_same_transitions(
    samples: list[tuple[float, float]], data: st.DataObject
):
    text = "above: 0.5, grace: 1m, for: 2s"
    shuffled = data.draw(st.permutations(samples))
    end = [(NOW + 4 * MINUTE, 0.1)]
    one = Judge(text).each([*sorted(samples), *end]).wait(NOW + HOUR)
    other = Judge(text).each([*shuffled, *end]).wait(NOW + HOUR)
    assert one.steps == other.steps
    plain = Judge("above: 0.5, for: 2s").each([*sorted(samples), *end])
    assert one.steps == plain.steps


def test_held_samples_come_back_from_the_changelog():
    judge = Judge("above: 0.5, grace: 1m, for: 1h").each(days((0.1, 0.9, 0.9), HOUR))
    before = judge.memory
    restarted(judge)
    assert judge.memory == before
