"""What people get: limits, silences, acknowledgements and mails, from the notifier as a process on a real broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.definitions.matchers import parse_matcher
from parallelm.operations.silences import add_silence, end_silence, list_silences
from parallelm.schemas.records import NotificationState
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS, SILENCES
from parallelm.supervision.ports import choose_ports
from tests.people import person
from tests.stream_processors.notifications.platform import SECRET, rules
from tests.stream_processors.notifications.receivers import mail_server
from tests.stream_processors.notifications.transitions import alert, deployment
from tests.waiting import wait_for

if TYPE_CHECKING:
    from tests.stream_processors.notifications.platform import Platform
    from tests.stream_processors.notifications.receivers import HttpReceiver


def test_a_message_that_is_refused_is_given_up_after_a_limit_and_said_to_be(
    platform: Platform, receiver: HttpReceiver
):
    receiver.status = 503
    platform.rules(rules(receiver.port, give_up="2s"))
    with platform.notifier() as notifier:
        platform.send(alert("firing"))
        wait_for(lambda: "failed" in platform.states(), notifier.log)
        receiver.status = 200
        platform.send(alert("resolved"))
        wait_for(lambda: [post.body["status"] for post in receiver.posts][-1] == "resolved", notifier.log)
    failed = next(each for each in platform.history() if each.state is NotificationState.FAILED)
    assert failed.attempts >= 2
    assert failed.error == "the server answered with status 503"
    assert "was given up after" in notifier.log()
    assert SECRET not in notifier.log() + platform.stored_text()


def test_silences_mute_and_end_and_acknowledged_alerts_are_not_repeated(
    platform: Platform, receiver: HttpReceiver
):
    platform.rules(rules(receiver.port, repeat="1s"))
    with platform.notifier() as notifier:
        silence = add_silence(
            platform.settings,
            [parse_matcher("alertname=~muted.*")],
            ends_at_ms=time.time_ns() // 1_000_000 + 3_600_000,
            who=person("me"),
            comment="known",
        )
        platform.send(alert("firing", "muted one", mlapp="app"), alert("firing", "muted two", mlapp="other"))
        platform.send(alert("firing", "loud"))
        wait_for(lambda: len(receiver.posts) >= 2, notifier.log)
        assert {post.title for post in receiver.posts} == {"[FIRING:1] loud app"}
        platform.send(alert("acknowledged", "loud", who="ann"))
        end_silence(platform.settings, silence.silence_id, who=person("me"), comment="over")
        wait_for(lambda: len(titles(receiver, "muted")) >= 4, notifier.log)
        assert set(titles(receiver, "muted")) == {"[FIRING:1] muted one app", "[FIRING:1] muted two other"}
        loud = len(titles(receiver, "loud"))
        wait_for(lambda: len(titles(receiver, "muted")) >= 8, notifier.log)
        assert len(titles(receiver, "loud")) <= loud + 1, "one may have been on its way"
        assert notifier.terminate() == 0
    assert [(each.who, each.comment) for each in list_silences(platform.settings)] == [("me", "known")]


def titles(receiver: HttpReceiver, word: str) -> list[str]:
    return [post.title for post in list(receiver.posts) if word in post.title]


def test_a_reviewer_gets_a_mail_when_a_model_waits_and_one_when_that_is_over(platform: Platform):
    port = choose_ports({"receiver": None}, {})["receiver"]
    platform.rules(f"""\
receivers:
  - name: reviewers
    title: "{{{{ events[0].labels.state if events else 'review ' ~ status }}}}: {{{{ group_labels.model }}}}"
    targets:
      - {{type: email, to: [ann@example.org, bob@example.org], from: mcenter@example.org, host: 127.0.0.1,
         port: {port}, security: none}}
alerts: {{receiver: reviewers}}
deployments:
  group_by: [mlapp, model]
  group_wait: 200ms
  group_interval: 300ms
  routes:
    - {{matchers: ['state=~"awaiting_approval|failed"'], receiver: reviewers}}
""")
    with mail_server(port) as mailbox, platform.notifier() as notifier:
        platform.send(deployment("awaiting_approval"))
        wait_for(lambda: len(mailbox.mails) == 1, notifier.log)
        platform.send(deployment("requested", who="ann", reason="looks good"))
        wait_for(lambda: len(mailbox.mails) == 2, notifier.log)
        platform.send(deployment("failed", reason="nobody answered"))
        wait_for(lambda: len(mailbox.mails) == 3, notifier.log)
        platform.wait_until_sent(3)
    assert [mail["Subject"] for mail in mailbox.mails] == [
        "review firing: m1",
        "review resolved: m1",
        "failed: m1",
    ]
    assert mailbox.recipients[0] == ["ann@example.org", "bob@example.org"]
    assert "requested: looks good" in mailbox.mails[1].get_content()
    ids = [each.notification_id for each in platform.history() if each.state is NotificationState.SENT]
    assert [mail["Message-ID"] for mail in mailbox.mails] == [f"<{each}@example.org>" for each in ids]


def test_a_topic_that_is_made_again_holds_other_alerts(platform: Platform, receiver: HttpReceiver):
    platform.rules(rules(receiver.port))
    notifier = platform.notifier()
    with notifier.gone_at_the_end():
        notifier.start()
        platform.send(*(alert("firing", f"old{number}") for number in range(5)))
        platform.wait_until_sent(5)
        assert notifier.terminate() == 0
        platform.make_again(ALERTS)
        platform.send(alert("firing", "new"))
        notifier.start()
        wait_for(lambda: titles(receiver, "new"), notifier.log)


def test_records_that_cannot_be_read_stop_nothing(platform: Platform, receiver: HttpReceiver):
    platform.rules(rules(receiver.port))
    with platform.notifier() as notifier:
        for poison in (b"", b"\x00\xff\xff\xff\xff\x00", b"not avro", None):
            for topic in (ALERTS, DEPLOYMENTS, SILENCES):
                platform.cluster.send_bytes(topic, b"app", poison)
        platform.send(alert("firing"))
        wait_for(lambda: len(receiver.posts) == 1, notifier.log)
        assert notifier.terminate() == 0


def test_of_two_notifiers_with_one_name_one_ends_and_says_why(platform: Platform, receiver: HttpReceiver):
    platform.rules(rules(receiver.port))
    same = ("--instance-id", "one")
    with platform.notifier("n1", *same) as first, platform.notifier("n2", *same) as second:
        processes = [notifier.process for notifier in (first, second)]
        assert all(processes)
        wait_for(
            lambda: any(each and each.poll() is not None for each in processes),
            lambda: first.log() + second.log(),
        )
        platform.send(alert("firing"))
        wait_for(lambda: len(receiver.posts) == 1, lambda: first.log() + second.log())
    assert "runs with --instance-id 'one' as well: give each notifier its own" in first.log() + second.log()
