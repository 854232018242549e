"""What once went wrong with alerts, through a worker on a real broker: wrong clocks, gaps, changed rules, series that stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.definitions import parse_definition, to_record
from parallelm.schemas.records import AggregateKind, AlertState, RecordPosition, RuleAggregate, UserAction
from parallelm.schemas.topics import ACTIONS, ALERTS, DEAD_LETTERS, RULE_AGGREGATES
from parallelm.stream_processors.alerts.rules import core_of
from tests.waiting import wait_for

from .legal import assert_legal
from .live import DAY, START

if TYPE_CHECKING:
    from parallelm.schemas.records import AlertTransition

    from .live import Cluster, Worker

YEAR = 366


def definition(*rules: str) -> str:
    lines = "".join(f"  - {{{rule}}}\n" for rule in rules)
    return f"mlapp: app\nnodes: [{{id: predict, type: model_consumer}}]\nalerts:\n{lines}"


LATE = "name: late, type: threshold, statistic: share, above: 0.5"
PROBE = "name: probe, type: threshold, statistic: probe, above: 0.5"
"""Judged after everything that was sent before it: when it fires, the rest is handled."""


def today() -> float:
    """The worker's and the broker's clock, in days since ``START``."""
    return (time.time() * 1000 - START) / DAY


def handled(cluster: Cluster, pipeline: str = "") -> list[AlertTransition]:
    """Transitions but those of the probe, once everything of this origin that was sent before is handled."""
    day = today()
    cluster.statistic(day, "probe", 1, pipeline=pipeline, labels={"at": str(day)})
    cluster.flush()

    def found() -> bool:
        return any(each.labels.get("at") == str(day) for each in cluster.read(ALERTS))

    wait_for(found, "the probe fires")
    return seen(cluster)


def seen(cluster: Cluster) -> list[AlertTransition]:
    transitions = cluster.read(ALERTS)
    assert_legal(transitions)
    return [each for each in transitions if each.rule != "probe"]


def states(transitions: list[AlertTransition]) -> list[tuple[str, float]]:
    return [(each.state.value, (each.event_time_ms - START) / DAY) for each in transitions]


def test_a_changed_rule_ends_the_alert_of_its_old_form_which_raises_nothing_more(
    cluster: Cluster, worker: Worker
):
    cluster.apply(definition(LATE, PROBE))
    cluster.statistic(1, "share", 0.9)
    assert states(handled(cluster)) == [("firing", 1)]
    cluster.apply(definition(LATE.replace("0.5", "0.95"), PROBE))
    wait_for(lambda: len(seen(cluster)) == 2, "the alert of the old form ends")
    resolved = seen(cluster)[1]
    assert (resolved.state.value, resolved.reason) == (
        "resolved",
        "the rule was changed by version 2 of the definition",
    )
    # A step that the old form has led to, and that comes late.
    text = definition(LATE, PROBE).replace("mlapp: app", f"mlapp: {cluster.mlapp}")
    old = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)
    step = RuleAggregate(
        origin=cluster.origin(), kind=AggregateKind.STEP, rule="late", statistic="share", model_id="",
        rule_form=core_of(cluster.mlapp, old.rules[0]).settings.form, event_time_ms=START + 2 * DAY,
        labels={"node": "predict", "agent": "host", "pipeline": ""}, state=AlertState.FIRING,
        started_at_ms=START + 2 * DAY, value=0.9, threshold=0.5, reason="it is high",
        cause=RecordPosition(topic="t", partition=0, offset=0),
    )  # fmt: skip
    cluster.send_bytes(RULE_AGGREGATES, cluster.mlapp.encode(), cluster.codec.encode(step))
    cluster.flush()
    cluster.statistic(3, "share", 0.9)
    assert len(handled(cluster)) == 2, "0.9 is not above 0.95"
    cluster.statistic(4, "share", 0.99)
    assert states(handled(cluster))[2:] == [("firing", 4)]
    assert worker.process.poll() is None


def test_a_clock_that_is_a_year_ahead_deafens_neither_a_series_nor_a_component_s_alert(
    cluster: Cluster, worker: Worker
):
    cluster.apply(definition(LATE, PROBE))
    cluster.statistic(today() + YEAR, "share", 0.1)
    cluster.event(today() + YEAR, "GenericDataAlert", is_alert=True)
    assert [each.rule for each in handled(cluster)] in (["GenericDataAlert"], [])
    now = today()
    cluster.statistic(now, "share", 0.9)
    cluster.flush()
    found = wait_for(lambda: len(found := handled(cluster)) == 2 and found, "both fire")
    assert all(abs(each.event_time_ms / 1000 - time.time()) < 300 for each in found)
    (component,) = (each for each in found if each.rule == "GenericDataAlert")
    action = UserAction(
        event_time_ms=int(START + (today() + YEAR) * DAY), action_id="a", mlapp_id=cluster.mlapp, who="ann", authenticated_by="unverified_local_user",
        action="close", node_id="", model_id="", target=component.alert_id, comment="known", parameters={},
    )  # fmt: skip
    cluster.send_bytes(ACTIONS, cluster.mlapp.encode(), cluster.codec.encode(action))
    cluster.flush()
    closed = wait_for(lambda: seen(cluster)[2:], "it is closed")[0]
    assert (closed.who, closed.reason) == ("ann", "closed by ann: known")
    assert abs(closed.event_time_ms / 1000 - time.time()) < 300
    cluster.event(today(), "GenericDataAlert", is_alert=True)
    cluster.flush()
    wait_for(lambda: [each.state.value for each in seen(cluster)[3:]] == ["firing"], "it fires again")
    assert worker.process.poll() is None


def test_two_processes_of_one_node_on_one_host_have_an_alert_each(cluster: Cluster, worker: Worker):
    cluster.apply(definition(LATE, PROBE))
    for minute in range(120):
        for pipeline, value in (("one", 0.9), ("two", 0.1)):
            cluster.statistic(minute / 1440, "share", value, pipeline=pipeline)
    cluster.flush()
    handled(cluster, "two")
    (alert,) = handled(cluster, "one")
    assert alert.labels["pipeline"] == "one"
    assert worker.process.poll() is None


def test_of_reports_of_one_time_the_last_counts(cluster: Cluster, worker: Worker):
    cluster.apply(definition(LATE, "name: low, type: threshold, statistic: score, below: 0.5", PROBE))
    for value in (0.9, 0.7, 0.2):
        cluster.statistic(1, "share", value)
    for value in (0.6, 0.9, 0.3):
        cluster.statistic(1, "score", value)
    handled(cluster)
    is_open = assert_legal(cluster.read(ALERTS))
    assert [each.rule for each in is_open.values() if each.rule != "probe"] == ["low"]
    assert worker.process.poll() is None


def test_two_samples_twenty_days_apart_are_no_breach_that_lasted_even_over_a_restart(
    cluster: Cluster, worker: Worker
):
    cluster.apply(definition(LATE + ", for: 3d", PROBE))
    cluster.statistic(0, "share", 0.9)
    assert states(handled(cluster)) == [("pending", 0)]
    worker.kill()
    worker.start()
    for day in range(1, 20):
        cluster.statistic(day, "share", float("nan"))
    cluster.statistic(20, "share", 0.9)
    assert states(handled(cluster)) == [("pending", 0), ("inactive", 20), ("pending", 20)]
    for day in (21, 22, 23):
        cluster.statistic(day, "share", 0.9)
    assert states(handled(cluster))[3:] == [("firing", 23)]


def test_a_series_that_has_stopped_resolves_its_alert(cluster: Cluster, worker: Worker):
    cluster.apply(definition(LATE + ", stale_after: 1s", PROBE))
    cluster.statistic(1, "share", 0.9)
    cluster.flush()
    wait_for(lambda: [each.state.value for each in seen(cluster)] == ["firing", "resolved"], "it is resolved")
    assert seen(cluster)[1].reason == "no sample for 1s"
    assert worker.process.poll() is None


def test_labels_of_a_rule_win_over_those_of_a_series(cluster: Cluster, worker: Worker):
    cluster.apply(definition(LATE + ", severity: critical, labels: {team: ml}", PROBE))
    cluster.statistic(
        1, "share", 0.9, labels={"team": "other", "severity": "none", "region": "east", "alertname": "x"}
    )
    (alert,) = handled(cluster)
    assert alert.labels == {
        "alertname": "late", "mlapp": cluster.mlapp, "node": "predict", "agent": "host", "pipeline": "",
        "severity": "critical", "team": "ml", "region": "east",
    }  # fmt: skip
    assert cluster.read(DEAD_LETTERS) == []
    assert worker.process.poll() is None
