"""``mcenter alerts``: what a person sees and answers, on the real broker, processors, sink and engine."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from parallelm.operations.actions import act, new_action
from parallelm.operations.errors import NoAnswerError
from parallelm.schemas.topics import ACTIONS, ALERTS
from tests.people import person
from tests.stream_processors.live import DAY, START

if TYPE_CHECKING:
    from parallelm.connections import Settings

    from .conftest import Decisions

DEFINITION = """\
mlapp: app
nodes:
  - {id: predict, type: model_consumer}
alerts:
  - {name: late, type: threshold, statistic: share, above: 0.5, severity: critical, labels: {team: flights}}
  - {name: soon, type: threshold, statistic: share, above: 0.8, for: 2d, reason: "{{ value }} is much."}
"""


def late(decisions: Decisions) -> str:
    """Id of an alert that fires."""
    decisions.cluster.apply(DEFINITION)
    decisions.cluster.statistic(1, "share", 0.9)
    decisions.cluster.flush()
    decisions.wait_for_alert("soon", "pending")
    return str(decisions.wait_for_alert("late", "firing")["alert_id"])


def test_an_alert_is_listed_shown_acknowledged_and_closed(decisions: Decisions) -> None:
    alert = late(decisions)
    assert [(row["rule"], row["state"]) for row in decisions.listed()] == [
        ("late", "firing"),
        ("soon", "pending"),
    ]

    done = decisions.run("alerts", "ack", alert[:20], "--who", "ann", "--comment", "looking into it")
    assert done.exit_code == 0, done.output
    assert done.output == f"alert {alert} (late) is acknowledged by ann\n"
    assert decisions.wait_for_alert("late", "acknowledged")["acknowledged_by"] == "ann"
    assert "late" in [row["rule"] for row in decisions.listed()], "an acknowledged alert goes on"

    again = decisions.run("alerts", "ack", alert, "--who", "bob", "--comment", "me, too")
    assert again.exit_code == 1
    assert f"alert {alert} is acknowledged already: by ann at " in again.output

    silence = ["--for", "1h", "--who", "cleo", "--comment", "known"]
    mlapp = decisions.cluster.mlapp
    assert decisions.run("alerts", "silence", f"mlapp={mlapp}", "alertname=late", *silence).exit_code == 0
    assert {row["rule"]: row["silenced_by"] for row in decisions.listed()} == {"late": "cleo", "soon": ""}

    closed = decisions.run("alerts", "close", alert, "--who", "bob", "--comment", "known outage")
    assert closed.output == f"alert {alert} (late) is resolved: closed by bob: known outage\n"
    decisions.wait_for_alert("late", "resolved")
    assert [row["rule"] for row in decisions.listed()] == ["soon"]
    for command in ("ack", "close"):
        over = decisions.run("alerts", command, alert, "--comment", "too late")
        assert over.exit_code == 1
        assert "is not open any more: it is resolved since " in over.output
        assert "(closed by bob: known outage)" in over.output

    shown = decisions.run("alerts", "show", alert).output
    statistics = f"caused by {decisions.cluster.settings.kafka.topic_prefix}statistics/"
    for text in (
        "state           resolved\n",
        "team: flights\n",
        "firing: share is 0.9, above 0.5\n",
        "acknowledged by ann: looking into it\n",
        "resolved by bob: closed by bob: known outage\n",
        statistics,
        f"caused by {decisions.cluster.name(ACTIONS)}/",
    ):
        assert text in shown
    as_json = json.loads(decisions.run("alerts", "show", alert, "--json").output)
    assert [each["state"] for each in as_json["transitions"]] == ["firing", "acknowledged", "resolved"]

    audit = [(each.who, each.action, each.comment) for each in decisions.cluster.read(ACTIONS)]
    assert audit == [
        ("ann", "acknowledge", "looking into it"),
        ("cleo", "silence", "known"),
        ("bob", "close", "known outage"),
    ]


def test_filters_and_the_alerts_of_a_time(decisions: Decisions) -> None:
    late(decisions)
    decisions.cluster.statistic(5, "share", 0.9)
    decisions.cluster.statistic(6, "share", 0.1)
    decisions.cluster.flush()
    decisions.wait_for_alert("late", "resolved")
    decisions.wait_for_alert("soon", "inactive")
    assert decisions.listed() == []

    def rules(*options: str) -> list[str]:
        return [row["rule"] for row in decisions.listed("--all", *options)]

    assert rules("--severity", "critical") == ["late"]
    assert rules("--label", "team=flights") == rules("--rule", "late") == ["late"]
    assert set(rules("--node", "predict")) == {"late", "soon"}
    assert rules("--node", "train") == []
    assert [row["rule"] for row in decisions.listed("--state", "resolved")] == ["late"]

    then = decisions.listed("--at", "2013-01-04")
    assert [(row["rule"], row["state"]) for row in then] == [("late", "firing"), ("soon", "pending")]
    assert [(row["resolved_at"], row["resolved_reason"]) for row in then] == [(None, ""), (None, "")]
    assert decisions.listed("--at", "2013-01-01") == []
    assert START + DAY == 1_357_084_800_000, "the days of this test are those of January 2013"

    without = decisions.run("alerts", "--mlapp", decisions.cluster.mlapp, "--all")
    assert (
        without.output == decisions.run("alerts", "list", "--mlapp", decisions.cluster.mlapp, "--all").output
    )
    assert "late" in without.output


def test_what_cannot_be_answered_says_why(decisions: Decisions) -> None:
    alert = late(decisions)
    pending = decisions.wait_for_alert("soon", "pending")["alert_id"]
    refused = decisions.run("alerts", "ack", pending, "--comment", "x")
    assert "is pending and has not fired: there is nothing to acknowledge yet" in refused.output

    unknown = decisions.run("alerts", "show", "lat")
    assert unknown.exit_code == 1
    assert "there is no alert 'lat'; near it are:\n" in unknown.output
    assert alert in unknown.output
    assert "there is no alert ''" in decisions.run("alerts", "show", "").output
    for options, message in (
        (["--comment", " "], "Invalid value for '--comment': is empty"),
        ([], "Missing option '--comment'"),
        (["--comment", "x", "--who", ""], "Invalid value for '--who': is empty"),
        (["--comment", "x", "--timeout", "0"], "Invalid value for '--timeout'"),
    ):
        found = decisions.run("alerts", "close", alert, *options)
        assert found.exit_code == 2
        assert message in found.output
    assert decisions.run("alerts", "--at", "soon").exit_code == 2
    assert decisions.run("alerts", "--label", "team").exit_code == 2
    assert decisions.run("alerts", "--severity", "fatal").exit_code == 2


def test_an_alert_that_ended_unseen_is_reported_and_not_waited_for(decisions: Decisions) -> None:
    """The sink has not stored the end yet: what the processors know is what counts."""
    alert = late(decisions)
    assert decisions.run("alerts", "close", alert, "--comment", "over").exit_code == 0
    decisions.wait_for_alert("late", "resolved")
    decisions.platform.rows(
        f"ALTER TABLE alert_transitions_log DELETE WHERE alert_id = '{alert}' AND state = 'resolved' SETTINGS mutations_sync = 2"
    )
    found = decisions.run("alerts", "ack", alert, "--comment", "late")
    assert found.exit_code == 1
    assert f"alert {alert} is not open any more: it ended while this was asked" in found.output


def test_processors_that_do_not_answer_are_named_with_what_to_look_at(decisions: Decisions) -> None:
    alert = late(decisions)
    decisions.worker.process.send_signal(signal.SIGSTOP)
    try:
        found = decisions.run("alerts", "close", alert, "--comment", "x", "--timeout", "0.5")
    finally:
        decisions.worker.process.send_signal(signal.SIGCONT)
    assert found.exit_code == 1
    assert "no processor has answered within 0.5 s; the action is recorded (" in found.output
    assert "and is carried out when they get to it: 1 members of group " in found.output
    decisions.wait_for_alert("late", "resolved")


@pytest.mark.usefixtures("topics")
def test_no_processors_are_reported_as_such(settings: Settings) -> None:
    action = new_action("close", "app", who=person("ann"), comment="x", target="y")
    with pytest.raises(NoAnswerError, match="none is running; start one with `mcenter processors`"):
        act(settings, action, ALERTS, timeout_s=0.3)
