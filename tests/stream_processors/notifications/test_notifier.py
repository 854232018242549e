"""The notifier as a process: what comes when it is killed, away or doubled, on a real broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.supervision.ports import choose_ports
from tests.stream_processors.notifications.platform import SECRET, rules
from tests.stream_processors.notifications.receivers import http_receiver
from tests.stream_processors.notifications.transitions import alert
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stream_processors.notifications.platform import Platform
    from tests.stream_processors.notifications.receivers import HttpReceiver


def test_alerts_of_a_group_come_in_one_message_and_so_does_their_end(
    platform: Platform, receiver: HttpReceiver
):
    platform.rules(rules(receiver.port, wait="1s"))
    with platform.notifier() as notifier:
        one, two = {"line": "a"}, {"line": "b"}
        platform.send(alert("firing", labels=one), alert("firing", labels=two), alert("pending", "other"))
        platform.send(alert("firing", "quiet", severity="info"))
        wait_for(lambda: len(receiver.posts) == 1, notifier.log)
        first = receiver.posts[0]
        assert first.title == "[FIRING:2] drift app"
        assert [item["labels"]["line"] for item in first.body["firing"]] == ["a", "b"]
        assert "drift is firing" in first.body["body"]
        platform.send(alert("resolved", labels=one), alert("resolved", labels=two))
        wait_for(lambda: len(receiver.posts) == 2, notifier.log)
        assert receiver.posts[1].title == "[RESOLVED] drift app"
        assert receiver.posts[1].id != first.id
        wait_for(lambda: platform.states() == ["pending", "sent"] * 2, platform.states)
        assert notifier.terminate() == 0
    assert {each.target for each in platform.history()} == {"team/webhook/0"}
    assert first.path == f"/hook?token={SECRET}"
    assert SECRET not in notifier.log() + platform.stored_text()


def test_what_was_sent_and_not_recorded_before_a_kill_is_sent_again_under_the_same_id(
    platform: Platform, receiver: HttpReceiver
):
    platform.rules(rules(receiver.port, "/held"))
    notifier = platform.notifier()
    with notifier.gone_at_the_end():
        notifier.start()
        platform.send(alert("firing"))
        wait_for(lambda: len(receiver.posts) == 1, notifier.log)
        notifier.kill()
        receiver.hold.set()
        platform.send(alert("firing", "second"))
        notifier.start()
        wait_for(lambda: len(receiver.posts) == 3, notifier.log)
        platform.wait_until_sent(2)
        ids = [post.id for post in receiver.posts if post.title.endswith("drift app")]
        assert len(ids) == 2
        assert len(set(ids)) == 1
        assert [post.body for post in receiver.posts if post.id == ids[0]] == [receiver.posts[0].body] * 2
        notifier.kill()
        notifier.start()
        platform.send(alert("firing", "third"))
        wait_for(lambda: len(receiver.posts) == 4, notifier.log)
    assert len(receiver.posts) == 4


def test_an_alert_that_came_and_went_while_no_notifier_ran_is_told(
    platform: Platform, receiver: HttpReceiver
):
    platform.rules(rules(receiver.port))
    platform.send(alert("firing", "before"), alert("resolved", "before"), alert("firing", "lasting"))
    notifier = platform.notifier()
    with notifier.gone_at_the_end():
        notifier.start()
        wait_for(lambda: [post.title for post in receiver.posts] == ["[FIRING:1] lasting app"], notifier.log)
        platform.wait_until_sent(1)
        notifier.kill()
        platform.send(alert("firing", "short"))
        told_at = time.monotonic() + 0.4  # longer than group_wait, which runs by the broker's clock
        wait_for(lambda: time.monotonic() > told_at)
        platform.send(alert("resolved", "short"))
        notifier.start()
        wait_for(lambda: len(receiver.posts) == 3, notifier.log)
        assert [post.title for post in receiver.posts[1:]] == ["[FIRING:1] short app", "[RESOLVED] short app"]


def test_a_receiver_that_is_away_gets_its_message_later_and_holds_up_no_other_one(
    platform: Platform, receiver: HttpReceiver
):
    port = choose_ports({"receiver": None}, {})["receiver"]
    text = rules(port) + "    - {matchers: [alertname=fine], receiver: other}\n"
    other = f'  - name: other\n    targets: [{{type: webhook, url: "{receiver.url("/other")}"}}]\n'
    platform.rules(text.replace("  - name: nobody\n", f"  - name: nobody\n{other}"))
    with platform.notifier() as notifier:
        platform.send(alert("firing"), alert("firing", "fine"))
        wait_for(lambda: len(receiver.posts) == 1, notifier.log)
        assert receiver.posts[0].title == "[FIRING:1] fine app"
        wait_for(lambda: "was not sent" in notifier.log(), notifier.log)
        platform.send(alert("resolved"))
        with http_receiver(port) as back:
            wait_for(lambda: len(back.posts) == 2, notifier.log)
            assert [post.title for post in back.posts] == ["[FIRING:1] drift app", "[RESOLVED] drift app"]
        assert SECRET not in notifier.log()


def test_of_two_notifiers_one_sends_and_the_other_takes_over(platform: Platform, receiver: HttpReceiver):
    platform.rules(rules(receiver.port))
    with platform.notifier("n1") as first, platform.notifier("n2") as second:
        for number in range(5):
            platform.send(alert("firing", f"r{number}"))
        wait_for(lambda: len(receiver.posts) == 5, lambda: first.log() + second.log())
        platform.wait_until_sent(5)
        active, standby = (first, second) if "this notifier sends" in first.log() else (second, first)
        assert "this notifier sends" not in standby.log()
        active.kill()
        platform.send(alert("firing", "r5"))
        wait_for(lambda: len(receiver.posts) == 6, standby.log)
        active.start()
        platform.send(alert("firing", "r6"))
        wait_for(lambda: len(receiver.posts) == 7, standby.log)
        platform.wait_until_sent(7)
        assert standby.terminate() == 0
        platform.send(alert("firing", "r7"))
        wait_for(lambda: len(receiver.posts) == 8, active.log)
    assert len({post.id for post in receiver.posts}) == 8
