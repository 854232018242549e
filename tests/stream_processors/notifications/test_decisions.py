"""What is sent when, by the rules of a file: the pure core with a clock of its own."""

from __future__ import annotations

import pytest

from tests.stream_processors.notifications.desks import FILE, Clerk, H, M, S
from tests.stream_processors.notifications.transitions import alert, deployment

DRIFT = "drift app"


def test_a_group_waits_then_tells_news_at_its_steps_and_repeats():
    clerk = Clerk().take(alert("firing", labels={"f": 1})).at(10 * S).take(alert("firing", labels={"f": 2}))
    assert clerk.at(29 * S).titles() == []
    assert clerk.at(30 * S).titles() == ["[FIRING:2] drift app"]
    clerk.at(40 * S).take(alert("firing", labels={"f": 3}))
    assert clerk.at(5 * M + 29 * S).titles() == ["[FIRING:2] drift app"]
    assert clerk.at(5 * M + 30 * S).titles()[1:] == ["[FIRING:3] drift app"]
    assert len(clerk.at(4 * H).titles()) == 2
    assert clerk.at(4 * H + 6 * M).titles()[2:] == ["[FIRING:3] drift app"]
    clerk.take(*(alert("resolved", labels={"f": number}) for number in (1, 2, 3)))
    assert clerk.at(5 * H).titles()[3:] == ["[RESOLVED] drift app"]
    assert len(clerk.at(99 * H).titles()) == 4


def test_what_fires_again_within_a_step_is_no_news():
    clerk = Clerk().take(alert("firing")).at(M)
    clerk.take(alert("resolved"), alert("firing", alert_id="another episode"))
    assert clerk.at(H).titles() == ["[FIRING:1] drift app"]


def test_what_ends_before_it_was_to_be_told_is_not_told():
    clerk = Clerk().take(alert("pending")).take(alert("firing")).at(20 * S).take(alert("resolved")).at(H)
    assert clerk.sent == []
    clerk.store()
    assert not any(clerk.stored.values())


def test_routes_take_the_first_match_and_go_on_where_they_say_so():
    clerk = Clerk().take(
        alert("firing", "a", severity="critical"),
        alert("firing", "b", mlapp="quiet-1"),
        alert("firing", "c", mlapp="quiet-1", severity="critical"),
    )
    clerk.at(M)
    assert clerk.titles() == []
    assert (
        sorted(clerk.titles("pager/webhook/0"))
        == sorted(clerk.titles("pager/webhook/1"))
        == ["[FIRING:1] a app", "[FIRING:1] c quiet-1"]
    )
    assert sorted(clerk.titles("quiet/webhook/0")) == ["[FIRING:1] b quiet-1", "[FIRING:1] c quiet-1"]
    clerk.take(alert("resolved", "b", mlapp="quiet-1")).at(H)
    assert len(clerk.titles("quiet/webhook/0")) == 2, "send_resolved is false"


def test_an_alert_inhibits_others_of_its_node_and_not_itself():
    down = alert("firing", "node_down", severity="warning")
    clerk = Clerk().take(down, alert("firing"), alert("firing", node_id="other", labels={"o": 1}))
    clerk.at(M)
    assert sorted(clerk.titles()) == ["[FIRING:1] drift app", "[FIRING:1] node_down app"]
    drift = next(each for each in clerk.sent if "drift" in each.title)
    assert "node=other" in drift.body
    assert "node=predict" not in drift.body
    clerk.take(alert("resolved", "node_down"))
    assert "[FIRING:2] drift app" in clerk.at(10 * M).titles()


def test_a_silence_mutes_across_mlapps_and_what_still_fires_is_told_after_it():
    clerk = Clerk()
    clerk.silence('alertname=~"dri.*"', H)
    clerk.take(alert("firing"), alert("firing", mlapp="other"), alert("firing", "late"))
    assert clerk.at(59 * M).titles() == ["[FIRING:1] late app"]
    clerk.take(alert("resolved", mlapp="other"))
    assert clerk.at(2 * H).titles()[1:] == ["[FIRING:1] drift app"]


def test_an_end_that_is_silenced_is_told_when_the_silence_ends():
    clerk = Clerk().take(alert("firing")).at(M)
    clerk.silence("alertname=drift", H)
    clerk.take(alert("resolved"))
    assert len(clerk.at(59 * M).titles()) == 1
    assert clerk.at(2 * H).titles()[1:] == ["[RESOLVED] drift app"]


def test_acknowledged_alerts_are_not_repeated_until_they_fire_in_a_new_episode():
    clerk = Clerk().take(alert("firing")).at(M).take(alert("acknowledged", who="ann"))
    assert len(clerk.at(10 * H).titles()) == 1
    clerk.take(alert("firing", labels={"f": 2})).at(11 * H)
    assert clerk.titles()[1:] == ["[FIRING:2] drift app"]
    assert "acknowledged by ann" in clerk.sent[-1].body
    clerk.take(alert("resolved"), alert("firing", alert_id="new"), alert("resolved", labels={"f": 2}))
    clerk.at(20 * H)
    assert len(clerk.titles()) > 3


def test_a_changed_label_ends_the_alert_where_it_was_and_begins_where_it_goes():
    clerk = Clerk().take(alert("firing", severity="critical")).at(M)
    clerk.take(alert("firing", severity="warning")).at(10 * M)
    assert clerk.titles("pager/webhook/0") == ["[FIRING:1] drift app", "[RESOLVED] drift app"]
    assert clerk.titles() == ["[FIRING:1] drift app"]
    clerk.take(alert("resolved", severity="warning")).at(20 * M)
    assert clerk.titles()[1:] == ["[RESOLVED] drift app"]


def test_deployments_are_told_once_and_one_that_waits_is_repeated_until_it_does_not():
    clerk = Clerk().take(deployment("awaiting_approval"))
    assert clerk.at(9 * H).titles() == ["[FIRING:1] app predict"] * 3
    clerk.take(deployment("rejected", who="ann", reason="no")).at(10 * H)
    assert clerk.titles()[3:] == ["[RESOLVED] app predict"]
    assert "rejected: no" in clerk.sent[-1].body
    clerk.take(deployment("requested", model="m2"), deployment("active", model="m2")).at(20 * H)
    assert len(clerk.titles()) == 4
    clerk.take(deployment("failed", model="m3"), deployment("rolled_back", model="m3")).at(40 * H)
    assert clerk.titles()[4:] == ["[EVENT] app predict"]
    clerk.store()
    assert not any(clerk.stored.values())


def test_while_a_target_is_away_what_came_and_went_is_kept_and_told_together():
    clerk = Clerk()
    clerk.away = {"team/webhook/0"}
    clerk.take(alert("firing", labels={"f": 1})).at(M)
    clerk.take(alert("firing", labels={"f": 2})).at(10 * M).take(alert("resolved", labels={"f": 2})).at(
        20 * M
    )
    clerk.away.clear()
    clerk.at(40 * M)
    assert clerk.titles() == ["[FIRING:1] drift app", "[FIRING:1] drift app"]
    assert "Resolved (1)" in clerk.sent[-1].body


def test_a_restart_changes_nothing():
    def told(*, restarts: bool) -> list[tuple[str, str]]:
        clerk = Clerk()
        script = [
            (alert("firing", labels={"f": 1}, transition_id="1"), 10 * S),
            (alert("firing", labels={"f": 2}, transition_id="2"), 2 * M),
            (alert("acknowledged", labels={"f": 1}, transition_id="3"), 6 * M),
            (alert("resolved", labels={"f": 2}, transition_id="4"), 5 * H),
            (alert("resolved", labels={"f": 1}, transition_id="5"), 9 * H),
        ]
        for transition, until in script:
            clerk.take(transition).at(until)
            if restarts:
                clerk.restart()
        return [(each.notification_id, each.title) for each in clerk.at(10 * H).sent]

    assert told(restarts=True) == told(restarts=False)
    assert len(told(restarts=False)) == 3


def test_another_file_regroups_what_goes_on_and_ends_what_has_no_target():
    clerk = Clerk().take(alert("firing")).at(M)
    clerk.away = {"team/webhook/0"}
    clerk.take(alert("resolved"), alert("firing", "other")).at(2 * M)
    clerk.restart(FILE.replace("name: team", "name: crew").replace("receiver: team", "receiver: crew"))
    failed = [each for each in clerk.desk.history() if each.state == "failed"]
    assert [each.error for each in failed] == ["its target is no longer in the notifier's file"]
    assert clerk.at(10 * M).titles("crew/webhook/0") == ["[FIRING:1] other app"]


@pytest.mark.parametrize("body", ["{{ 1 / 0 }}", "{{ nothing }}", "{{ firing[7].reason }}"])
def test_a_template_that_fails_loses_no_message(body: str):
    file = FILE.replace("  - name: team\n", f"  - name: team\n    body: '{body}'\n")
    clerk = Clerk(file).take(alert("firing")).at(M)
    assert "drift is firing" in clerk.sent[0].body
    assert clerk.template_errors


def test_what_others_wrote_cannot_add_headers_or_steer_a_terminal():
    name = "x\r\nBcc: a@b.c\x1b[2J\u202e"
    clerk = Clerk().take(alert("firing", name, reason="r\x1b[2J")).at(M)
    assert clerk.sent[0].title.isprintable()
    assert "\x1b" not in clerk.sent[0].body


def test_many_alerts_make_a_message_of_bounded_size():
    clerk = Clerk()
    clerk.take(*(alert("firing", labels={"f": number, "long": "x" * 5000}) for number in range(300)))
    clerk.at(M)
    assert clerk.titles() == ["[FIRING:300] drift app"]
    clerk.take(alert("firing", labels={"f": "new"})).desk.flush(10 * M, 10 * M, live=True)
    clerk.store()
    sizes = [len(repr(body)) for bodies in clerk.stored.values() for body in bodies.values()]
    assert max(sizes) < 500_000


RATE = """\
receivers:
  - name: team
    rate_limit: {count: 2, per: 1h}
    targets: [{type: webhook, url: "http://127.0.0.1/team"}]
alerts: {receiver: team, group_wait: 0}
"""


def test_a_rate_limit_delays_and_loses_nothing():
    clerk = Clerk(RATE)
    clerk.take(*(alert("firing", f"r{number}") for number in range(5))).at(M).restart()
    assert len(clerk.at(59 * M).titles()) == 2
    assert len(clerk.at(61 * M).titles()) == 4
    clerk.at(122 * M)
    assert len(clerk.titles()) == 5
