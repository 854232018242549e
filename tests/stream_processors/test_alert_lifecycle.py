"""Alerts of rules: table tests of the life cycle, and properties over any order of samples."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from random import Random  # noqa: TC003 - hypothesis reads the annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.records import AlertState
from parallelm.stream_processors.alerts.lifecycle import Alert, Sample, Timing, Verdict, run
from parallelm.stream_processors.alerts.series import MAX_WINDOW, AlertSeries, Decision, absorb

Readings = list[tuple[int, bool]]
DAY = 86_400_000
LEGAL = {
    ("inactive", "pending"), ("inactive", "firing"), ("pending", "firing"), ("pending", "inactive"),
    ("firing", "resolved"), ("resolved", "pending"), ("resolved", "firing"),
}  # fmt: skip

# Whole hours from 1970 on; a breach is 1, else 0.
readings = st.lists(
    st.tuples(st.integers(0, 200), st.booleans()), max_size=40, unique_by=lambda reading: reading[0]
)
timings = st.builds(Timing, st.sampled_from([0, 1, 5, 24]), st.sampled_from([0, 1, 5, 24]))


def sample(at_ms: float, breached: bool) -> Sample:
    return Sample(at_ms, float(breached), Verdict.BREACHED if breached else Verdict.OK)


def samples(*breached_by_day: int) -> list[Sample]:
    return [sample(day * DAY, bool(breached)) for day, breached in enumerate(breached_by_day)]


def states(found: list[Decision]) -> list[tuple[str, int]]:
    return [(decision.step.state.value, int(decision.step.at_ms // DAY)) for decision in found]


def effective(found: list[Decision]) -> list[tuple[str, str, float, float]]:
    """What a reader holds to be true: no transition that another one supersedes, and none that only takes back."""
    superseded = {decision.supersedes for decision in found}
    steps = [d.step for d in found if d.transition_id not in superseded and not d.taken_back]
    return sorted(
        (step.state.value, step.previous_state.value, step.at_ms, step.started_ms) for step in steps
    )


@pytest.mark.parametrize(
    ("timing", "breached_by_day", "expected"),
    [
        (Timing(0, 0), (0, 1, 1, 0), [("firing", 1), ("resolved", 3)]),
        (Timing(3 * DAY, 0), (1, 1, 1, 1, 0), [("pending", 0), ("firing", 3), ("resolved", 4)]),
        (Timing(3 * DAY, 0), (1, 1, 1, 0, 1), [("pending", 0), ("inactive", 3), ("pending", 4)]),
        (Timing(0, 2 * DAY), (1, 0, 1, 0, 0, 0), [("firing", 0), ("resolved", 4)]),
        (Timing(0, 0), (1, 0, 1), [("firing", 0), ("resolved", 1), ("firing", 2)]),
        (Timing(0, 0), (0, 0, 0), []),
    ],
)
def test_an_alert_is_pending_fires_and_is_resolved(
    timing: Timing, breached_by_day: tuple[int, ...], expected: list[tuple[str, int]]
):
    _, decisions = absorb(AlertSeries("f"), samples(*breached_by_day), timing, grace_ms=0)
    assert states(decisions) == expected


def test_a_late_sample_inside_the_grace_period_corrects_what_was_sent():
    one, two, ok, four = samples(1, 1, 0, 1)
    series, sent = absorb(AlertSeries("f"), [one, two, four], Timing(3 * DAY, 0), grace_ms=10 * DAY)
    assert states(sent) == [("pending", 0), ("firing", 3)]
    _, corrections = absorb(series, [ok], Timing(3 * DAY, 0), grace_ms=10 * DAY)
    assert states(corrections) == [("inactive", 2), ("pending", 3)]
    assert corrections[0].supersedes == sent[1].transition_id
    assert corrections[1].supersedes == ""


def test_a_transition_that_should_never_have_been_is_taken_back():
    breach, ok = sample(5 * DAY, True), sample(4 * DAY, False)
    series, sent = absorb(AlertSeries("f"), [sample(0, True), breach], Timing(3 * DAY, 0), grace_ms=10 * DAY)
    series, _ = absorb(series, [sample(1 * DAY, False), ok], Timing(3 * DAY, 0), grace_ms=10 * DAY)
    assert series.alert.state is AlertState.PENDING
    series, sent = absorb(AlertSeries("f"), [sample(0, False), breach], Timing(0, 0), grace_ms=10 * DAY)
    _, back = absorb(series, [sample(5 * DAY, True), sample(6 * DAY, False)], Timing(0, 0), grace_ms=10 * DAY)
    assert states(sent + back) == [("firing", 5), ("resolved", 6)]


def test_a_sample_later_than_the_grace_period_is_counted_and_changes_nothing():
    series, _ = absorb(AlertSeries("f"), samples(0, 0, 0, 0), Timing(0, 0), grace_ms=DAY)
    after, sent = absorb(series, [sample(0.5 * DAY, True)], Timing(0, 0), grace_ms=DAY)
    assert sent == []
    assert after == dataclasses.replace(series, too_late=1)


def test_the_end_of_a_model_resolves_its_alert_for_good():
    series, _ = absorb(AlertSeries("f"), samples(0, 1), Timing(0, 5 * DAY), grace_ms=0)
    series, sent = absorb(series, [Sample.end(1.5 * DAY, "over")], Timing(0, 5 * DAY), grace_ms=0)
    assert [(d.step.state, d.step.note) for d in sent] == [(AlertState.RESOLVED, "over")]
    _, more = absorb(series, [sample(2 * DAY, True)], Timing(0, 0), grace_ms=0)
    assert more == []


def test_an_end_that_comes_later_than_the_grace_period_still_counts():
    series, _ = absorb(AlertSeries("f"), samples(1, 1, 1, 1), Timing(0, 0), grace_ms=0)
    _, sent = absorb(series, [Sample.end(DAY, "over")], Timing(0, 0), grace_ms=0)
    assert states(sent) == [("resolved", 3)]


def test_a_busy_series_keeps_a_bounded_window():
    busy = [sample(number, number % 2 == 0) for number in range(2_000)]
    series, _ = absorb(AlertSeries("f"), busy, Timing(0, 0), grace_ms=1e12)
    assert len(series.window) <= MAX_WINDOW
    assert len(series.issued) <= MAX_WINDOW


@given(readings, timings)
def test_in_order_only_legal_changes_happen_and_ids_are_unique(found: Readings, timing: Timing):
    ordered = [sample(*reading) for reading in sorted(found)]
    _, decisions = absorb(AlertSeries("f"), ordered, timing, grace_ms=3)
    steps = [decision.step for decision in decisions]
    assert all((step.previous_state.value, step.state.value) in LEGAL for step in steps)
    assert all(before.state is after.previous_state for before, after in pairwise(steps))
    assert all(before.at_ms < after.at_ms for before, after in pairwise(steps))
    assert len({decision.transition_id for decision in decisions}) == len(decisions)
    for step in steps:
        if step.state is AlertState.FIRING:
            assert step.at_ms - step.started_ms >= timing.for_ms


@given(readings, timings, st.randoms(use_true_random=False))
def test_any_order_within_the_grace_period_leads_to_the_same_transitions(
    found: Readings, timing: Timing, random: Random
):
    ordered = [sample(*reading) for reading in sorted(found)]
    shuffled = list(ordered)
    random.shuffle(shuffled)
    _, expected = run(Alert(), ordered, timing)
    series, decisions = absorb(AlertSeries("f"), shuffled, timing, grace_ms=1_000)
    wanted = sorted((s.state.value, s.previous_state.value, s.at_ms, s.started_ms) for s in expected)
    assert effective(decisions) == wanted
    assert [issued.step for issued in series.issued] == expected
    assert len({decision.transition_id for decision in decisions}) == len(decisions)


@given(readings, timings, st.integers(0, 200), st.data())
def test_the_end_of_a_model_may_come_before_its_samples_or_after(
    found: Readings, timing: Timing, ended_ms: int, data: st.DataObject
):
    ordered = [sample(*reading) for reading in sorted(found) if reading[0] < ended_ms]
    end = Sample.end(ended_ms, "over")
    arriving = list(ordered)
    arriving.insert(data.draw(st.integers(0, len(ordered))), end)
    _, expected = run(Alert(), [*ordered, end], timing)
    _, decisions = absorb(AlertSeries("f"), arriving, timing, grace_ms=0)
    wanted = sorted((s.state.value, s.previous_state.value, s.at_ms, s.started_ms) for s in expected)
    assert effective(decisions) == wanted


@given(readings, timings, st.integers(0, 30), st.data())
def test_samples_may_come_in_any_batches(found: Readings, timing: Timing, grace_ms: int, data: st.DataObject):
    arriving = [sample(*reading) for reading in found]
    whole, together = absorb(AlertSeries("f"), arriving, timing, grace_ms)
    cut = data.draw(st.integers(0, len(arriving)))
    part, first = absorb(AlertSeries("f"), arriving[:cut], timing, grace_ms)
    part, second = absorb(part, arriving[cut:], timing, grace_ms)
    assert (part, first + second) == (whole, together)


@given(readings, timings, st.integers(0, 30))
def test_samples_that_come_again_change_nothing(found: Readings, timing: Timing, grace_ms: int):
    arriving = [sample(*reading) for reading in found]
    series, _ = absorb(AlertSeries("f"), arriving, timing, grace_ms)
    again, sent = absorb(series, arriving, timing, grace_ms)
    assert sent == []
    assert dataclasses.replace(again, too_late=series.too_late) == series
