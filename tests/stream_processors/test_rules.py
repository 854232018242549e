"""What becomes of alerts when two series share one, and when their rule changes."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.records import (
    AggregateKind,
    AlertState,
    MLAppDefinition,
    Origin,
    RecordPosition,
    RuleAggregate,
)
from parallelm.schemas.slicing import SlicedBatch, SlicedSeries
from parallelm.schemas.statistics_encoder import float64_bytes
from parallelm.stream_processors.alerts.aggregates import RuleIndex, aggregates_of
from parallelm.stream_processors.alerts.rule_alerts import RuleAlert, new_alert, on_aggregate, on_definition
from parallelm.stream_processors.alerts.rules import Rule, rules_of

DAY = 86_400_000
CAUSE = RecordPosition(topic="statistics", partition=0, offset=7)
HEAD = "mlapp: app\nnodes: [{id: n1, type: model_consumer}, {id: n2, type: model_consumer}]\nalerts:\n"
LATE = "  - {name: late, type: threshold, statistic: share, above: 0.5}\n"
DRIFT = "  - {name: late, type: health, threshold: 0.4, features: [temp, wind]}\n"


def definition(rules: str, version: int = 1) -> MLAppDefinition:
    text = HEAD + rules if rules else HEAD.replace("alerts:\n", "")
    entry = parse_definition(text, "f")
    return to_record(entry, text, version=version, applied_by="me", event_time_ms=9 * DAY)


def rule(rules: str) -> Rule:
    (found,) = rules_of(definition(rules))
    return found


def series(model_id: str, days: list[float], values: list[float]) -> SlicedSeries:
    times = [day * DAY for day in days]
    empty = dict.fromkeys(SlicedSeries._fields, b"")
    return SlicedSeries(
        **empty
        | {
            "name": b"share",
            "model_id": model_id.encode(),
            "labels": {},
            "timestamps_ms": float64_bytes(times),
            "values": float64_bytes(values),
        }
    )


def test_series_that_share_an_alert_are_judged_in_the_order_of_time():
    """Two models report in turn: the second one's samples must not be late because the first one's stand before them."""
    ones = series("m-1", [1, 3, 5, math.nan], [0.1, 0.1, 0.1, 0.1])
    twos = series("m-2", [2, 4, 6], [0.9, 0.9, 0.1])
    texts = dict.fromkeys(SlicedBatch._fields, b"") | {"mlapp_id": b"app", "node_id": b"n1"}
    batch = SlicedBatch(**texts | {"seq": 0, "series": [ones, twos]})
    (aggregate,) = aggregates_of(batch, RuleIndex((rule(LATE),)), CAUSE)
    _, sent = on_aggregate(new_alert(rule(LATE), aggregate), rule(LATE), aggregate, 0)
    assert [(each.state.value, each.event_time_ms // DAY) for each in sent] == [
        ("firing", 2),
        ("resolved", 3),
        ("firing", 4),
        ("resolved", 5),
    ]


def firing(rules: str, labels: dict[str, str], statistic: str, value: float) -> RuleAlert:
    aggregate = seen([(DAY, value)], labels, statistic)
    alert, sent = on_aggregate(new_alert(rule(rules), aggregate), rule(rules), aggregate, 0)
    assert [each.state for each in sent] == [AlertState.FIRING]
    return alert


@pytest.mark.parametrize(
    ("changed", "resolved"),
    [
        ("", True),
        (LATE, False),
        (LATE.replace("0.5", "0.7"), False),
        (LATE.replace("}", ", match: {carrier: UA}}"), False),
        (LATE.replace("}", ", node: n1}"), False),
        (LATE.replace("share", "ratio"), True),
        (LATE.replace("}", ", match: {carrier: AA}}"), True),
        (LATE.replace("}", ", node: n2}"), True),
        (DRIFT, True),
    ],
)
def test_an_open_alert_on_what_its_rule_no_longer_watches_is_resolved(changed: str, resolved: bool):
    alert = firing(LATE, {"carrier": "UA"}, "share", 0.9)
    after, sent = on_definition(alert, definition(changed, 2), CAUSE, 0)
    assert [each.state for each in sent] == [AlertState.RESOLVED] * resolved
    assert after.series.alert.open is not resolved
    if resolved:
        assert "since version 2 of the definition" in sent[0].reason


@pytest.mark.parametrize(("features", "resolved"), [("[temp]", False), ("all", False), ("[wind]", True)])
def test_a_feature_that_is_taken_out_of_a_health_rule_has_no_open_alert(features: str, resolved: bool):
    alert = firing(DRIFT, {"feature": "temp"}, "x.overlapResult", 0.1)
    changed = DRIFT.replace("[temp, wind]", features)
    _, sent = on_definition(alert, definition(changed, 2), CAUSE, 0)
    assert [each.state for each in sent] == [AlertState.RESOLVED] * resolved


def test_rules_that_this_version_cannot_read_resolve_nothing():
    alert = firing(LATE, {}, "share", 0.9)
    unread = definition(LATE, 2)
    broken = dataclasses.replace(unread, rules=[dataclasses.replace(unread.rules[0], parameters_json="{")])
    assert on_definition(alert, broken, CAUSE, 0) == (alert, [])


rule_times = st.fixed_dictionaries(
    {"for_ms": st.sampled_from([0, 1, 5]), "keep_firing_for_ms": st.sampled_from([0, 1, 5])}
)
readings = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.1, 0.9])), min_size=1, max_size=10)


@given(st.lists(st.tuples(rule_times, readings), min_size=1, max_size=4), st.sampled_from([0, 5, 40]))
def test_a_rule_whose_times_change_leaves_no_alert_half_closed(
    eras: list[tuple[dict[str, int], list[tuple[int, float]]]], grace_ms: int
):
    """What a reader holds to be true goes from state to state without a gap, up to the state that is kept."""
    alert, sent = new_alert(rule(LATE), seen([])), []
    for times, found in eras:
        as_now = dataclasses.replace(rule(LATE), grace_ms=grace_ms, **times)
        alert, more = on_aggregate(alert, as_now, seen(found), 0)
        sent += more
    superseded = {each.supersedes for each in sent}
    true = [
        each
        for each in sent
        if each.transition_id not in superseded and not each.reason.startswith("taken back")
    ]
    state = AlertState.INACTIVE
    for each in sorted(true, key=lambda each: each.event_time_ms):
        assert each.previous_state is state
        state = each.state
    assert state is alert.series.alert.state


def seen(
    found: list[tuple[int, float]], labels: dict[str, str] | None = None, statistic: str = "share"
) -> RuleAggregate:
    return RuleAggregate(
        kind=AggregateKind.SAMPLES,
        event_time_ms=0,
        origin=Origin(mlapp_id="app", node_id="n1", pipeline_instance_id="", agent_id="host"),
        rule="late",
        statistic=statistic,
        model_id="m-1",
        labels=labels or {},
        timestamps_ms=[float(at_ms) for at_ms, _ in found],
        values=[value for _, value in found],
        cause=CAUSE,
    )
