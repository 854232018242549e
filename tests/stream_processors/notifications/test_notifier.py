"""The notifier as a process, on a real broker, with receivers on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from parallelm.definitions.matchers import parse_matcher
from parallelm.operations.silences import add_silence, end_silence, list_silences
from parallelm.schemas.records import NotificationState
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS, NOTIFICATIONS, NOTIFIER_STATE, Topic
from parallelm.supervision.ports import choose_ports
from tests.service_process import ServiceProcess
from tests.stream_processors.live import Cluster
from tests.stream_processors.notifications.receivers import http_receiver, mail_server
from tests.stream_processors.notifications.transitions import alert, deployment
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from parallelm.connections import Settings
    from parallelm.schemas.records import AlertTransition, DeploymentTransition, Notification
    from tests.stream_processors.notifications.receivers import HttpReceiver

SECRET = "kQ7zVn3pTs9w"  # noqa: S105 - it must appear nowhere

RULES = """\
receivers:
  - name: team
    give_up_after: {give_up}
    targets:
      - {{type: webhook, url: "http://127.0.0.1:{port}{path}?token=${{HOOK_TOKEN}}"}}
  - name: nobody
alerts:
  receiver: team
  group_by: [alertname, mlapp]
  group_wait: {wait}
  group_interval: 500ms
  repeat_interval: {repeat}
  routes:
    - {{matchers: [severity=info], receiver: nobody}}
"""


class Platform:
    """Topics of one test, and its notifier's file."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.cluster = Cluster(settings)
        self.file = folder / "notifications.yaml"

    def rules(self, text: str) -> None:
        self.file.write_text(text)

    def notifier(self, name: str = "n1") -> ServiceProcess:
        import os

        arguments = ("notifier", "--file", str(self.file), "--session-timeout-s", "6")
        environ = dict(os.environ) | {"HOOK_TOKEN": SECRET}
        return ServiceProcess(self.folder / name, *arguments, settings=self.settings, environ=environ)

    def send(self, *transitions: AlertTransition | DeploymentTransition) -> None:
        for transition in transitions:
            topic = DEPLOYMENTS if hasattr(transition, "deployment_id") else ALERTS
            self.cluster.send_bytes(topic, topic.key(transition), self.cluster.codec.encode(transition))
        self.cluster.flush()

    def history(self) -> list[Notification]:
        return sorted(self._all(NOTIFICATIONS), key=lambda each: (each.event_time_ms, each.attempts))

    def states(self) -> list[str]:
        return [each.state.value for each in self.history()]

    def _all(self, topic: Topic) -> list[Any]:
        from parallelm.schemas.topic_reader import StartPoint, read_topic

        name = topic.full_name(self.settings.kafka.topic_prefix)
        records = read_topic(self.settings, name, StartPoint("beginning"), follow=False)
        return [self.cluster.codec.decode(record.value) for record in records if record.value is not None]

    def wait_until_sent(self, count: int) -> None:
        """Until so many are recorded: a kill before that repeats one."""
        wait_for(lambda: self.states().count("sent") == count, self.states)

    def stored_text(self) -> str:
        return repr(self._all(NOTIFIER_STATE)) + repr(self.history())


@pytest.fixture
def platform(settings: Settings, tmp_path: Path) -> Iterator[Platform]:
    create_topics(settings, timeout_s=DEADLINE_S)
    made = Platform(settings, tmp_path)
    yield made
    made.cluster.close()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


def rules(
    port: int, path: str = "/hook", *, wait: str = "200ms", repeat: str = "4h", give_up: str = "1d"
) -> str:
    return RULES.format(port=port, path=path, wait=wait, repeat=repeat, give_up=give_up)


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
            who="me",
            comment="known",
        )
        platform.send(alert("firing", "muted one", mlapp="app"), alert("firing", "muted two", mlapp="other"))
        platform.send(alert("firing", "loud"))
        wait_for(lambda: len(receiver.posts) >= 2, notifier.log)
        assert {post.title for post in receiver.posts} == {"[FIRING:1] loud app"}
        platform.send(alert("acknowledged", "loud", who="ann"))
        end_silence(platform.settings, silence.silence_id, who="me", comment="over")
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
