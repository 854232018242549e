"""``no_data``: silence by the broker's clock, of statistics, nodes and agents, also of those that never reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parallelm.definitions import DefinitionError
from parallelm.schemas.records import (
    AggregateKind,
    Event,
    KpiBatch,
    KpiPoint,
    Origin,
    RecordPosition,
    RuleAggregate,
)
from tests.stream_processors.mlapp_judging import Judge, assert_legal, definition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60_000
NODE = "{name: quiet, type: no_data, node: predict, for: 1m}"


def origin(node: str = "predict", agent: str = "host") -> Origin:
    return Origin(mlapp_id="app", node_id=node, pipeline_instance_id="", agent_id=agent)


def seen(judge: Judge, at_ms: int, statistic: str = "x", node: str = "predict", agent: str = "host",
         labels: Mapping[str, str] | None = None) -> None:  # fmt: skip
    """A statistic arrives, and what the series stage makes of it."""
    alive = judge.rule.sign_of_life(("app", node, "", agent), statistic, labels or {})
    if alive is None:
        return
    judge.record(
        RuleAggregate(
            origin=origin(node, agent), kind=AggregateKind.SEEN, rule="quiet", statistic=statistic, model_id="",
            labels=alive, event_time_ms=at_ms, cause=RecordPosition(topic="t", partition=0, offset=0),
        ),
        at_ms + 500,
    )  # fmt: skip


def event(node: str, *, is_alert: bool = False) -> Event:
    return Event(
        origin=origin(node), producer_id="p", seq=0, event_time_ms=0, event_id="e", type="GenericEvent", title="t",
        description="", is_alert=is_alert, model_id="", labels={}, content_type="", data=b"",
    )  # fmt: skip


def test_a_node_that_goes_quiet_fires_after_for_and_resolves_with_its_next_statistic():
    judge = Judge(NODE)
    seen(judge, 1_000)
    judge.clock(60_999)
    assert judge.states(node="predict") == []
    judge.clock(63_000)
    seen(judge, 100_000)
    judge.clock(110_000)
    fired, resolved = judge.steps[("node", "predict"),]
    assert (fired.at_ms, fired.started_ms, fired.value, fired.threshold) == (61_000, 1_000, 62.0, 60.0)
    assert fired.reason == "node 'predict' has been quiet for 1m; last reported at 1970-01-01T00:00:01Z"
    assert (resolved.at_ms, resolved.started_ms) == (100_000, 1_000)
    assert resolved.reason == "node 'predict' is back after 1m39s"
    assert_legal([fired, resolved])


def test_a_node_that_never_reports_fires_from_its_definition_on():
    judge = Judge(NODE)
    judge.apply(5_000)
    judge.clock(70_000)
    (fired,) = judge.steps[("node", "predict"),]
    assert fired.at_ms == 65_000
    assert (
        fired.reason
        == "node 'predict' has never reported; waited for since 1970-01-01T00:00:05Z, 1m and more"
    )
    judge.apply(80_000)
    seen(judge, 90_000)
    judge.clock(92_000)
    assert judge.states(node="predict")[1:] == [("resolved", 90_000)]


def test_every_node_of_the_definition_is_waited_for_when_the_rule_names_none():
    judge = Judge("{name: quiet, type: no_data, for: 1m}")
    judge.apply(0)
    seen(judge, 50_000, node="train")
    judge.clock(60_000)
    assert judge.states(node="predict") == [("firing", 60_000)]
    assert judge.states(node="train") == []


def test_a_statistic_that_no_node_has_reported_fires_until_the_first_reports_it():
    judge = Judge("{name: quiet, type: no_data, statistic: rate, for: 1m}")
    judge.apply(0)
    seen(judge, 1_000, statistic="another")
    judge.clock(60_000)
    (fired,) = judge.steps[()]
    assert fired.reason.startswith("statistic 'rate' has never reported")
    seen(judge, 70_000, statistic="rate", node="train")
    assert judge.states() == [("firing", 60_000), ("resolved", 70_500)]
    judge.apply(75_000)
    judge.clock(131_000)
    assert judge.states() == [("firing", 60_000), ("resolved", 70_500)], (
        "now each node is waited for by itself"
    )
    assert judge.states(node="train") == [("firing", 130_000)]


def test_agents_are_told_apart_and_one_that_is_gone_for_good_is_forgotten():
    judge = Judge("{name: quiet, type: no_data, node: predict, by: [agent], for: 1m, forget_after: 1h}")
    for at_ms in range(0, 4_000_000, 30_000):
        seen(judge, at_ms, agent="a")
        if at_ms == 0:
            seen(judge, at_ms, agent="b")
        judge.clock(at_ms + 1_000)
    assert judge.states(agent="a") == []
    assert judge.states(agent="b") == [("firing", MINUTE), ("resolved", 60 * MINUTE)]
    assert judge.steps[("agent", "b"),][1].reason == (
        "agent 'b' has been quiet for 1h: it is not waited for any longer"
    )
    assert (("agent", "b"),) not in judge.memories
    seen(judge, 4_000_000, agent="b")
    judge.clock(4_061_000)
    assert judge.states(agent="b")[2:] == [("firing", 4_060_000)], "one that comes back is waited for again"
    assert_legal(judge.steps[("agent", "b"),])


def test_an_agent_that_the_rule_names_is_waited_for_from_the_definition_on():
    judge = Judge(
        "{name: quiet, type: no_data, by: [node, agent], node: predict, match: {agent: h1}, for: 1m}"
    )
    judge.apply(0)
    seen(judge, 50_000, agent="h2")
    judge.clock(61_000)
    assert judge.states(node="predict", agent="h1") == [("firing", 60_000)]
    assert len(judge.memories) == 1


def test_labels_and_patterns_of_statistics():
    judge = Judge(
        "{name: quiet, type: no_data, statistic_pattern: 'rate\\..*', match_pattern: {carrier: 'U.'}, "
        "by: [carrier], for: 1m}"
    )
    seen(judge, 0, "rate.a", labels={"carrier": "UA"})
    seen(judge, 0, "rate.a", labels={"carrier": "US"})
    seen(judge, 0, "rate.a", labels={"carrier": "AA"})
    seen(judge, 0, "other", labels={"carrier": "UX"})
    seen(judge, 30_000, "rate.b", labels={"carrier": "UA"})
    judge.clock(60_000)
    assert judge.states(carrier="US") == [("firing", 60_000)]
    assert {key for key in judge.memories if key} == {(("carrier", "UA"),), (("carrier", "US"),)}


def test_events_and_kpis_are_life_of_a_node_and_not_of_a_statistic():
    judge = Judge("{name: quiet, type: no_data, for: 1m}")
    judge.apply(0)
    judge.record(event("predict", is_alert=True), 30_000)
    point = KpiPoint(name="k", labels={}, timestamp_ms=0, value=1.0, model_id="")
    judge.record(KpiBatch(origin=origin("train"), producer_id="p", seq=0, source="s", points=[point]), 40_000)
    judge.record(event(""), 59_000)
    judge.clock(60_000)
    assert judge.steps == {key: [] for key in judge.steps}
    judge.clock(95_000)
    assert judge.states(node="predict") == [("firing", 90_000)]
    of_statistic = Judge("{name: quiet, type: no_data, statistic: s, for: 1m}")
    of_statistic.record(event("predict"), 30_000)
    assert of_statistic.memories == {}


def test_one_that_comes_and_goes_stays_firing_for_keep_firing_for():
    judge = Judge("{name: quiet, type: no_data, node: predict, for: 1m, keep_firing_for: 2m}")
    seen(judge, 0)
    judge.clock(60_000)
    seen(judge, 100_000)
    judge.clock(160_000)  # quiet again before it was calm
    for at_ms in range(200_000, 400_000, 30_000):
        seen(judge, at_ms)
        judge.clock(at_ms + 2_000)
    assert judge.states(node="predict") == [("firing", 60_000), ("resolved", 320_000)]
    assert_legal(judge.steps[("node", "predict"),])


def test_a_sign_of_life_that_comes_late_moves_nothing_back():
    judge = Judge(NODE)
    seen(judge, 50_000)
    seen(judge, 10_000)
    judge.clock(109_999)
    assert judge.states(node="predict") == []
    judge.clock(110_000)
    seen(judge, 90_000)
    judge.clock(111_000)
    assert judge.states(node="predict") == [("firing", 110_000), ("resolved", 110_000)]
    judge.clock(150_000)
    assert judge.states(node="predict")[2:] == [("firing", 150_000)]
    assert_legal(judge.steps[("node", "predict"),])


TIMES = st.lists(st.integers(0, 600), max_size=30)


@settings(max_examples=40)
@given(first=TIMES, second=TIMES, keep=st.sampled_from(["0s", "30s", "2m"]), data=st.data())
def test_the_order_of_partitions_and_repetitions_do_not_matter(
    first: list[int], second: list[int], keep: str, data: st.DataObject
):
    """Between two moments of the clock, statistics of two partitions come in any order, and some twice."""

    def outcome(*, shuffled: bool) -> list[tuple[str, float]]:
        judge = Judge(f"{{name: quiet, type: no_data, node: predict, for: 1m, keep_firing_for: {keep}}}")
        judge.apply(0)
        for until_s in range(20, 720, 20):
            arrived = [
                [at_s for at_s in sorted(times) if until_s - 20 <= at_s < until_s]
                for times in (first, second)
            ]
            together = sorted([*arrived[0], *arrived[1]])
            if shuffled and len(together) > 1:
                together = data.draw(st.permutations(together))
                together += together[:1]
            for at_s in together:
                seen(judge, at_s * 1_000)
            judge.clock(until_s * 1_000)
        assert_legal(judge.steps[("node", "predict"),])
        return judge.states(node="predict")

    assert outcome(shuffled=True) == outcome(shuffled=False)


@given(times=TIMES)
def test_it_fires_exactly_for_each_silence(times: list[int]):
    judge = Judge(NODE)
    judge.apply(0)
    for at_s in range(720):
        if at_s in times:
            seen(judge, at_s * 1_000)
        judge.clock(at_s * 1_000 + 600)
    alive = [0, *sorted({at_s for at_s in times if at_s})]
    gaps = [
        (since, until)
        for since, until in zip(alive, [*alive[1:], 720], strict=True)
        if until - since > 60 or (until - since == 60 and until != 720)
    ]
    fired = [step for step in judge.steps[("node", "predict"),] if step.state == "firing"]
    assert [(step.started_ms / 1000, step.at_ms / 1000) for step in fired] == [
        (since, since + 60) for since, until in gaps if until > since + 60
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{name: a, type: no_data}", "a no_data rule needs 'for': how long the silence lasts"),
        ("{name: a, type: no_data, for: 4s}", "alerts[0].for is not valid: 4s is too short; a silence is told from 5s on"),
        ("{name: a, type: no_data, for: 1m, by: [carrier]}", "label 'carrier' is one of statistics: name a 'statistic', or use node, agent, pipeline"),
        ("{name: a, type: no_data, for: 1m, match: {fold: a}}", "label 'fold' is one of statistics"),
        ("{name: a, type: no_data, for: 1m, by: [node, node]}", "'node' is listed twice"),
        ("{name: a, type: no_data, for: 1m, statistic: x, statistic_pattern: x}", "a no_data rule watches a 'statistic' or a 'statistic_pattern', not both"),
        ("{name: a, type: no_data, for: 1m, statistic_pattern: 'x('}", "'x(' is not a regular expression"),
        ("{name: a, type: no_data, for: 1m, statistic: x, match_pattern: {k: 'x('}}", "'x(' is not a regular expression"),
        ("{name: a, type: no_data, for: 2h, forget_after: 1h}", "forget_after is '1h': it must be longer than 'for' (2h)"),
        ("{name: a, type: no_data, for: 1m, above: 3}", "unknown key 'above'"),
        ("{name: a, type: no_data, for: 1m, by: node}", "alerts[0].by must be a list"),
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused(rule: str, expected: str):
    with pytest.raises(DefinitionError) as caught:
        definition_of(rule)
    assert expected in str(caught.value)
