"""From statistics, events, definitions and people to the alerts of an MLApp: both stages, without Kafka."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.well_known import CANARY_HEALTH
from parallelm.stream_processors.alert_routes import COMPONENT_ALERT, OPEN_ALERT
from parallelm.stream_processors.alerts.component_alerts import FORGET_MS, SILENCE_MS

if TYPE_CHECKING:
    from .stages import Stages

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NODES = """\
nodes:
  - {id: n, type: model_producer}
  - {id: m, type: model_consumer}
"""


def definition(*rules: str) -> str:
    lines = [f"  - {{{rule}}}\n" for rule in rules]
    return NODES + ("alerts:\n" + "".join(lines) if lines else "")


HIGH = "name: high, type: threshold, statistic: x, above: 200"


def remembered(stages: Stages, kind: str) -> int:
    return len([key for key in stages.mlapp.stored if json.loads(key)[0] == kind])


# ---- what an alert says ---------------------------------------------------------------------------------------------


def test_an_alert_says_what_it_is_about_and_the_rule_s_labels_win(stages: Stages):
    stages.apply(
        definition(HIGH + ", severity: critical, labels: {team: ml, region: all}, "
        "annotations: {text: '{{ value:.1f }} of {{ labels.region }} on {{ node }}/{{ agent }}, above {{ threshold }}'}")
    )  # fmt: skip
    stages.sample(300, labels={"region": "east", "zone": "1"}, pipeline="p1")
    assert stages.settle().states() == ["firing"]
    (alert,) = stages.alerts
    assert alert.labels == {
        "alertname": "high", "mlapp": "app", "node": "n", "agent": "host", "pipeline": "p1", "severity": "critical",
        "team": "ml", "region": "all", "zone": "1",
    }  # fmt: skip
    assert alert.annotations == {"text": "300.0 of all on n/host, above 200"}
    assert (alert.value, alert.threshold, alert.severity) == (300, 200, "critical")
    assert alert.reason == "x is 300, above 200"
    assert (alert.cause.topic, alert.cause.offset) == ("statistics", 0)


def test_an_infinite_value_is_shown_as_it_is(stages: Stages):
    stages.apply(definition(HIGH))
    stages.sample(float("inf"))
    assert stages.settle().alerts[0].value == float("inf")


def test_an_alert_over_several_series_has_all_labels_too(stages: Stages):
    stages.apply(definition(HIGH + ", aggregate: sum, window: 1s"))
    stages.sample(300)
    stages.wait(MINUTE)
    assert stages.states()[0] == "firing"


@pytest.mark.parametrize("one", [{"pipeline": "1"}, {"agent": "a"}, {"node": "m"}])
def test_processes_that_report_apart_have_alerts_apart(stages: Stages, one: dict[str, str]):
    stages.apply(definition(HIGH))
    for number in range(120):
        stages.sample(300)
        stages.sample(100, **one)
        stages.now_ms += number
    assert stages.settle().states() == ["firing"]
    stages.sample(300, **one)
    assert stages.settle().states() == ["firing", "firing"]
    assert len(stages.open()) == 2


def test_statistics_that_a_pattern_matches_have_alerts_apart(stages: Stages):
    stages.apply(definition("name: slow, type: threshold, statistic_pattern: 'latency_.*', above: 200"))
    for _ in range(3):
        stages.sample(300, name="latency_p99")
        stages.sample(100, name="latency_p50")
        stages.now_ms += 1
    assert stages.settle().states() == ["firing"]
    assert stages.alerts[0].statistic == "latency_p99"


# ---- rules that change ----------------------------------------------------------------------------------------------

CHANGED = [
    HIGH.replace("200", "350"),
    HIGH + ", labels: {team: other}",
    HIGH + ", for: 1h",
    HIGH + ", severity: info",
]


@pytest.mark.parametrize("changed", CHANGED)
def test_a_rule_that_is_changed_while_it_fires_ends_its_alert_and_judges_what_comes(
    stages: Stages, changed: str
):
    stages.apply(definition(HIGH))
    stages.sample(300)
    stages.settle()
    stages.now_ms += MINUTE
    stages.apply(definition(changed))
    assert stages.settle().states() == ["firing", "resolved"]
    assert "changed by version 2" in stages.alerts[1].reason
    stages.sample(300)
    new = [] if "350" in changed else ["pending"] if "for" in changed else ["firing"]
    assert stages.settle().states()[2:] == new
    stages.now_ms += MINUTE
    stages.sample(0)
    stages.settle()
    assert stages.open() == {}


def test_a_step_of_a_rule_s_old_form_that_comes_after_the_new_definition_does_nothing(stages: Stages):
    stages.apply(definition(HIGH))
    stages.settle()
    stages.sample(300)
    stages.apply(definition(CHANGED[0]))
    stages.deliver("mlapps")
    assert stages.settle().states() == []


@pytest.mark.parametrize("first", ["mlapps", "rule-aggregates"])
def test_an_alert_of_the_old_form_ends_before_one_of_the_new_begins(stages: Stages, first: str):
    stages.apply(definition(HIGH))
    stages.sample(300)
    stages.settle()
    stages.now_ms += MINUTE
    stages.apply(definition(CHANGED[1]))
    stages.sample(300)
    stages.deliver(first)
    assert stages.settle().states() == ["firing", "resolved", "firing"]
    assert "changed by version 2" in stages.alerts[1].reason
    assert stages.alerts[2].labels["team"] == "other"


@pytest.mark.parametrize("what", ["rule", "node", "mlapp"])
def test_what_is_taken_out_ends_its_alerts_and_leaves_nothing_behind(stages: Stages, what: str):
    stages.apply(definition(HIGH, "name: other, type: threshold, statistic: y, above: 200"))
    stages.sample(300, node="m")
    stages.event("GenericDataAlert", node="m")
    stages.settle()
    before = stages.states()
    stages.now_ms += MINUTE
    if what == "mlapp":
        stages.remove()
    else:
        text = (
            definition("name: other, type: threshold, statistic: y, above: 200")
            if what == "rule"
            else definition(HIGH)
        )
        stages.apply(text if what == "rule" else text.replace("  - {id: m, type: model_consumer}\n", ""))
    stages.settle()
    assert before == ["firing"] * 2
    ended = stages.alerts[2:]
    assert [each.state.value for each in ended] == ["resolved"] * (1 if what == "rule" else 2)
    assert all("gone since" in each.reason for each in ended)
    assert ("removal" if what == "mlapp" else "version 2") in ended[0].reason
    assert remembered(stages, OPEN_ALERT) == 0
    if what != "node":  # an agent may still report for a node that is gone
        stages.wait(1)
        assert stages.series.stored == {}


@pytest.mark.parametrize("seen_between", [True, False])
@pytest.mark.parametrize("value", [300, 0])
def test_an_mlapp_that_is_removed_and_applied_again_begins_anew(
    stages: Stages, seen_between: bool, value: float
):
    stages.apply(definition(HIGH))
    stages.sample(300)
    stages.settle()
    stages.now_ms += MINUTE
    stages.remove()
    stages.sample(300)  # the series stage sees that it is gone
    if seen_between:
        stages.settle()
    stages.now_ms += MINUTE
    stages.apply(definition(HIGH))
    stages.sample(value)
    stages.settle()
    assert stages.states()[:2] == ["firing", "resolved"]
    assert len(stages.open()) == (value == 300)


def test_a_series_of_a_rule_that_came_back_is_not_left_open(stages: Stages):
    stages.apply(definition(HIGH))
    stages.sample(300)
    stages.settle()
    stages.now_ms += MINUTE
    stages.apply(definition())
    stages.sample(300)
    stages.restart()
    stages.apply(definition(HIGH))
    stages.sample(0)
    stages.settle()
    assert stages.open() == {}


# ---- models ---------------------------------------------------------------------------------------------------------

DRIFT = "name: drift, type: health, measure: score, threshold: 0.4"


def drift(stages: Stages, score: float, model: str, agent: str = "host") -> None:
    labels = {"line": "overlapScore_temp"}
    stages.sample(score, name="h.overlapResult", model=model, labels=labels, node="m", agent=agent)


def test_health_alerts_end_with_their_model(stages: Stages):
    stages.apply(definition(DRIFT))
    for model in ("one", "two"):
        stages.model(model)
        stages.event("ModelAccepted", is_alert=False, model=model, node="m")
        stages.settle()
        stages.now_ms += MINUTE
        if model == "one":
            drift(stages, 0.1, "one")
            assert stages.settle().states() == ["firing"]
    assert stages.states() == ["firing", "resolved"]
    assert stages.alerts[1].reason == "model one was superseded by two"
    drift(stages, 0.9, "one")
    drift(stages, 0.1, "one")
    assert stages.settle().states() == ["firing", "resolved"], (
        "what comes late of the old model raises nothing"
    )


def test_what_is_said_of_a_model_before_the_one_before_it_was_accepted_stays(stages: Stages):
    stages.apply(definition(DRIFT))
    for model in ("one", "two"):
        stages.model(model)
    stages.settle()
    drift(stages, 0.1, "two")
    assert stages.settle().states() == ["firing"]
    stages.event("ModelAccepted", is_alert=False, model="one", node="m")
    assert stages.settle().states() == ["firing"]


# ---- people ---------------------------------------------------------------------------------------------------------


def test_an_alert_that_is_acknowledged_goes_on_and_is_resolved(stages: Stages):
    stages.apply(definition(HIGH))
    stages.sample(300)
    target = stages.settle().alerts[0].alert_id
    stages.act("acknowledge", target)
    stages.settle()
    assert (stages.alerts[1].state.value, stages.alerts[1].who, stages.alerts[1].reason) == ("acknowledged", "ann", "known")  # fmt: skip
    stages.now_ms += MINUTE
    stages.sample(0)
    assert stages.settle().states() == ["firing", "acknowledged", "resolved"]
    stages.act("acknowledge", target)
    stages.act("close", target)
    assert stages.settle().states() == ["firing", "acknowledged", "resolved"], "it is over"


@pytest.mark.parametrize("by", ["alert_id", "fingerprint"])
def test_an_alert_that_is_closed_fires_again_with_its_next_episode_only(stages: Stages, by: str):
    stages.apply(definition(HIGH))
    stages.sample(300)
    target = getattr(stages.settle().alerts[0], by)
    stages.act("close", target)
    stages.act("close", target)
    assert stages.settle().states() == ["firing", "resolved"]
    assert (stages.alerts[1].who, stages.alerts[1].reason) == ("ann", "closed by ann: known")
    for value, expected in ((300, []), (0, []), (300, ["firing"])):
        stages.now_ms += MINUTE
        stages.sample(value)
        assert stages.settle().states()[2:] == expected


def test_an_alert_that_is_closed_while_it_is_pending_does_not_fire_in_this_episode(stages: Stages):
    stages.apply(definition(HIGH + ", for: 2m"))
    stages.sample(300)
    stages.act("close", stages.settle().alerts[0].alert_id)
    assert stages.settle().states() == ["pending", "inactive"]
    for _ in range(4):
        stages.now_ms += MINUTE
        stages.sample(300)
    assert stages.settle().states() == ["pending", "inactive"]
    stages.restart()
    stages.sample(0)
    assert stages.settle().states() == ["pending", "inactive"]
    assert remembered(stages, OPEN_ALERT) == 0
    stages.now_ms += MINUTE
    stages.sample(300)
    assert stages.settle().states() == ["pending", "inactive", "pending"]


# ---- alerts of components -------------------------------------------------------------------------------------------


def test_a_component_s_alert_is_closed_by_a_person_and_fires_again_with_the_next_report(stages: Stages):
    stages.event("GenericDataAlert", 1_000)
    target = stages.settle().alerts[0].alert_id
    stages.act("acknowledge", target)
    stages.act("close", target, at_ms=stages.now_ms + 365 * DAY)
    stages.act("close", target)
    assert stages.settle().states() == ["firing", "acknowledged", "resolved"]
    assert stages.alerts[2].event_time_ms == stages.now_ms, "the person's clock is a year ahead"
    stages.event("GenericDataAlert", 1_000)
    stages.event("GenericDataAlert", 2_000)
    assert stages.settle().states()[3:] == ["firing"]
    assert stages.alerts[0].rule_type == "component"


def test_a_component_s_alert_a_year_ahead_does_not_deafen_it(stages: Stages):
    stages.event("GenericDataAlert", stages.now_ms + 366 * DAY)
    stages.settle()
    assert stages.alerts[0].event_time_ms == stages.now_ms
    stages.wait(SILENCE_MS)
    stages.event("GenericDataAlert")
    assert stages.settle().states() == ["firing", "resolved", "firing"]


def test_a_component_s_alert_is_over_after_silence_and_forgotten_later(stages: Stages):
    stages.event("GenericDataAlert")
    stages.wait(SILENCE_MS)
    assert stages.states() == ["firing", "resolved"]
    assert stages.alerts[1].reason == "not raised again within 24 h"
    assert remembered(stages, COMPONENT_ALERT) == 1
    stages.restart()
    stages.wait(FORGET_MS)
    assert remembered(stages, COMPONENT_ALERT) == 0


def test_a_canary_that_reports_healthy_ends_its_alert(stages: Stages):
    healthy = b'{"isHealthy": true}'
    for number, data in enumerate((b"{}", healthy, healthy, b"{}", healthy)):
        stages.event(CANARY_HEALTH, 1_000 + (number > 1), data=data)
    stages.settle()
    assert stages.states()[:2] == ["firing", "resolved"]
    assert stages.open() == {}


@pytest.mark.parametrize("seen_between", [True, False])
@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("removed", [True, False])
@pytest.mark.parametrize("value", [300, 0])
def test_a_rule_that_came_back_at_once_judges_what_comes(
    stages: Stages, seen_between: bool, restart: bool, removed: bool, value: float
):
    stages.apply(definition(HIGH))
    stages.sample(300)
    stages.settle()
    stages.now_ms += MINUTE
    # The series stage asks for definitions too late to see the one between.
    if removed:
        stages.remove()
    else:
        stages.apply(definition())
    if seen_between:
        stages.settle()
    stages.now_ms += 1
    stages.apply(definition(HIGH))
    if restart:
        stages.restart()
    stages.sample(value)
    stages.settle()
    assert stages.states()[:2] == ["firing", "resolved"]
    assert len(stages.open()) == (value == 300)


def test_a_rule_that_stays_as_it_is_goes_on_over_a_new_version(stages: Stages):
    stages.apply(definition(HIGH))
    stages.sample(300)
    for version in range(3):
        stages.apply(definition(HIGH, f"name: other, type: threshold, statistic: y, above: {version}"))
        stages.notice()
        stages.restart()
        stages.now_ms += MINUTE
        stages.sample(300)
        assert stages.settle().states() == ["firing"]
