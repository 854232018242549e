"""``event`` counts events in a window of event time; ``canary`` judges what comparators report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError
from parallelm.schemas.records import Event, Origin
from tests.stream_processors.mlapp_judging import Judge, assert_legal, definition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60_000
HOUR = 60 * MINUTE
CRASHES = "{name: crashes, type: event, event: Crash, window: 10m, above: 2}"
NODE = (("node", "predict"),)


def event(
    at_ms: int, number: int = 0, kind: str = "Crash", *, title: str = "t", node: str = "predict",
    labels: Mapping[str, str] | None = None, data: Any = None, model: str = "",
) -> Event:  # fmt: skip
    return Event(
        origin=Origin(mlapp_id="app", node_id=node, pipeline_instance_id="", agent_id="host"), producer_id="p",
        seq=number, event_time_ms=at_ms, event_id=f"p-{at_ms}-{number}", type=kind, title=title, description="",
        is_alert=False, model_id=model, labels=labels or {}, content_type="", data=json.dumps(data).encode(),
    )  # fmt: skip


def test_it_fires_with_the_event_that_is_one_too_many_and_resolves_by_a_later_one():
    judge = Judge(CRASHES)
    for minute in (0, 4, 8, 9, 25):
        judge.record(event(minute * MINUTE), HOUR)
    fired, resolved = judge.steps[NODE]
    assert (fired.at_ms, fired.value, fired.threshold) == (8 * MINUTE, 3, 2)
    assert fired.reason == "3 events 'Crash' within 10m, more than 2"
    assert (resolved.at_ms, resolved.value) == (25 * MINUTE, 1)
    assert resolved.reason == "1 events 'Crash' within 10m, no longer more than 2"
    assert_legal([fired, resolved])


def test_without_later_events_the_broker_s_clock_ends_it_and_the_group_is_forgotten():
    judge = Judge(CRASHES)
    for number in range(3):
        judge.record(event(0, number), HOUR)
    judge.clock(HOUR + 10 * MINUTE - 1)
    assert judge.states(node="predict") == [("firing", 0)]
    judge.clock(HOUR + 10 * MINUTE)
    assert judge.states(node="predict")[1:] == [("resolved", 10 * MINUTE)]
    assert judge.steps[NODE][1].reason == "no event 'Crash' for 10m"
    assert judge.memories == {}


def test_a_late_event_counts_in_its_window_and_not_from_before_it():
    judge = Judge(CRASHES)
    judge.record(event(20 * MINUTE), HOUR)
    judge.record(event(19 * MINUTE), HOUR)
    judge.record(event(5 * MINUTE), HOUR)
    assert judge.states(node="predict") == []
    judge.record(event(12 * MINUTE), HOUR)
    assert judge.states(node="predict") == [("firing", 20 * MINUTE)]


def test_a_wrong_clock_does_not_deafen_a_group():
    judge = Judge(CRASHES)
    judge.record(event(365 * 24 * HOUR), HOUR)
    for number in range(2):
        judge.record(event(HOUR + number), HOUR)
    assert [state for state, _ in judge.states(node="predict")] == ["firing"]


def test_what_is_counted():
    judge = Judge(
        "{name: a, type: event, event_pattern: 'C.*', title_pattern: 'w[0-9]', match: {gpu: a}, node: predict, "
        "by: [event, agent], window: 1h, above: 0}"
    )
    right = {"title": "w1", "labels": {"gpu": "a"}}
    judge.record(event(0, kind="Other", **right), HOUR)
    judge.record(event(0, node="train", **right), HOUR)
    judge.record(event(0, title="w10", labels={"gpu": "a"}), HOUR)
    judge.record(event(0, title="w1", labels={"gpu": "b"}), HOUR)
    assert judge.memories == {}
    judge.record(event(0, **right), HOUR)
    assert judge.states(event="Crash", agent="host") == [("firing", 0)]


@settings(max_examples=60)
@given(
    times=st.lists(st.integers(0, 3_600), max_size=60), keep=st.sampled_from(["0s", "5m"]), wait=st.sampled_from(["0s", "2m"]),
    repeats=st.booleans(),
)  # fmt: skip
def test_repeated_events_change_nothing_and_memory_is_bounded(
    times: list[int], keep: str, wait: str, *, repeats: bool
):
    def outcome(*, repeated: bool) -> list[tuple[str, float]]:
        judge = Judge(CRASHES.replace("above: 2", f"above: 2, for: {wait}, keep_firing_for: {keep}"))
        for number, at_s in enumerate(times):
            for _ in range(2 if repeated else 1):
                judge.record(event(at_s * 1_000, number), HOUR)
        assert all(len(json.dumps(memory)) < 8_000 for memory in judge.memories.values())
        judge.clock(2 * HOUR)
        assert judge.memories == {}
        assert_legal(judge.steps[NODE])
        return judge.states(node="predict")

    assert outcome(repeated=repeats) == outcome(repeated=False)


@given(st.lists(st.integers(0, 3_600), min_size=1, max_size=40))
def test_it_fires_exactly_while_a_window_holds_too_many(times: list[int]):
    judge = Judge(CRASHES)
    ordered = sorted(times)
    for number, at_s in enumerate(ordered):
        judge.record(event(at_s * 1_000, number), HOUR)
        # Sixty parts of ten seconds; the one that the event lies in counts as whole.
        count = sum(at_s // 10 - 60 < earlier // 10 for earlier in ordered[: number + 1])
        last = judge.states(node="predict")[-1:]
        assert (bool(last) and last[0][0] == "firing") == (count > 2)


COMPARED = "{name: canary, type: canary, for: 0s}"


def compared(
    at_ms: int, score: Any, *, healthy: bool = True, threshold: Any = 0.25, model: str = "m"
) -> Event:
    data = {"isHealthy": healthy, "histogramComparison": {"scores": score, "threshold": threshold}}
    return event(at_ms, kind="CanaryHealth", title="Canary Alert", node="train", data=data, model=model)


GROUP = {"node": "train", "agent": "host", "pipeline": "", "title": "Canary Alert", "model": "m"}


def test_a_canary_is_judged_by_its_score_against_the_policy_s_threshold():
    judge = Judge(COMPARED)
    for minute, score in enumerate((0.2, 0.3, 0.4, 0.25)):
        judge.record(compared(minute * MINUTE, score, threshold=9), HOUR)
    fired, resolved = judge.steps[tuple(sorted(GROUP.items()))]
    assert (fired.at_ms, fired.value, fired.threshold) == (MINUTE, 0.3, 0.25)
    assert fired.reason == "distance of the canary's predictions is 0.3, above 0.25"
    assert (resolved.at_ms, resolved.reason) == (
        3 * MINUTE,
        "distance of the canary's predictions is 0.25, not above 0.25",
    )
    assert_legal([fired, resolved])


def test_the_rule_s_threshold_comes_before_the_policy_s():
    judge = Judge("{name: canary, type: canary, threshold: 0.5}")
    judge.record(compared(0, 0.4, healthy=False), HOUR)
    assert judge.states(**GROUP) == []
    judge.record(compared(1, 0.6), HOUR)
    assert judge.states(**GROUP) == [("firing", 1)]


@pytest.mark.parametrize("score", [None, "0.4", True, [0.4], float("nan")])
def test_without_a_score_the_comparator_s_own_word_counts(score: object):
    judge = Judge(COMPARED)
    judge.record(compared(0, score, healthy=False), HOUR)
    judge.record(compared(1, score, healthy=True), HOUR)
    assert judge.states(**GROUP) == [("firing", 0), ("resolved", 1)]


@pytest.mark.parametrize(
    "data", [None, [], "text", {"histogramComparison": 5}, {"isHealthy": "yes"}, {"histogramComparison": []}]
)
def test_data_that_says_nothing_about_health_is_not_judged(data: object):
    judge = Judge(COMPARED)
    judge.record(event(0, kind="CanaryHealth", data=data), HOUR)
    assert judge.memories == {}


def test_each_model_has_its_own_alert_and_a_canary_that_is_over_ends_its_own():
    judge = Judge("{name: canary, type: canary, stale_after: 1h}")
    judge.record(compared(0, 0.9), HOUR)
    judge.record(compared(0, 0.9, model="n"), 2 * HOUR - 1)
    judge.clock(2 * HOUR)
    assert judge.states(**GROUP) == [("firing", 0), ("resolved", HOUR)]
    assert judge.states(**GROUP | {"model": "n"}) == [("firing", 0)]
    judge.clock(3 * HOUR)
    assert judge.memories == {}


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 1)), max_size=30))
def test_comparisons_sent_again_change_nothing(comparisons: list[tuple[int, float]]):
    def outcome(times: int) -> list[tuple[str, float]]:
        judge = Judge("{name: canary, type: canary, for: 2m, keep_firing_for: 3m}")
        for minute, score in comparisons:
            for _ in range(times):
                judge.record(compared(minute * MINUTE, score), 2 * HOUR)
        assert_legal(judge.steps[tuple(sorted(GROUP.items()))])
        assert all(len(json.dumps(memory)) < 1_000 for memory in judge.memories.values())
        return judge.states(**GROUP)

    assert outcome(2) == outcome(1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{name: a, type: event, window: 1m, above: 1}", "an event rule needs exactly one of 'event' and 'event_pattern'"),
        ("{name: a, type: event, event: E, above: 1}", "alerts[0].window is missing"),
        ("{name: a, type: event, event: E, window: 0s, above: 1}", "alerts[0].window is '0s': should be greater than 0"),
        ("{name: a, type: event, event: E, window: 1m}", "alerts[0].above is missing"),
        ("{name: a, type: event, event: E, window: 1m, above: 1.5}", "alerts[0].above must be a whole number"),
        ("{name: a, type: event, event: E, window: 1m, above: -1}", "alerts[0].above is -1: should be greater than or equal to 0"),
        ("{name: a, type: event, event_pattern: 'E(', window: 1m, above: 1}", "'E(' is not a regular expression"),
        ("{name: a, type: event, event: E, title: t, title_pattern: t, window: 1m, above: 1}", "a 'title' or a 'title_pattern', not both"),
        ("{name: a, type: canary, threshold: 0}", "alerts[0].threshold is 0: should be greater than 0"),
        ("{name: a, type: canary, stale_after: 0s}", "alerts[0].stale_after is '0s': should be greater than 0"),
        ("{name: a, type: canary, statistic: RMSE}", "unknown key 'statistic'"),
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(rule: str, expected: str):
    with pytest.raises(DefinitionError) as caught:
        definition_of(rule)
    assert expected in str(caught.value)
