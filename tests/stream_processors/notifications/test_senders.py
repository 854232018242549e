"""Senders against servers on this machine: what they send, how they judge answers, and that no text shows a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.definitions.notifications import parse_notifications
from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.edge.senders import Message
from parallelm.stream_processors.notifications.edge.targets import Target, make_targets, read_rules
from parallelm.supervision.ports import choose_ports
from tests.producers.unused_port import address_of, unused_port
from tests.stream_processors.notifications.receivers import mail_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stream_processors.notifications.receivers import HttpReceiver

SECRET = "kQ7zVn3pTs9w"  # noqa: S105 - it must appear nowhere
MESSAGE = Message(
    "id-1", "title ä", "body\n.\nö", {"status": "firing", "firing": [{"labels": {"a": "b"}}]}, "firing"
)


def target(entry: str) -> Target:
    text = f"receivers: [{{name: team, targets: [{entry}]}}]\nalerts: {{receiver: team}}\n"
    (found,) = make_targets(parse_notifications(text, "f", {"SECRET": SECRET})).values()
    return found


def free_port() -> int:
    return choose_ports({"receiver": None}, {})["receiver"]


def test_a_webhook_carries_the_id_and_everything_about_the_group(receiver: HttpReceiver):
    url = receiver.url("/hook")
    sent = target(f'{{type: webhook, url: "{url}", headers: {{X-Token: "${{SECRET}}"}}}}').send(MESSAGE)
    assert sent == (Outcome.SENT, "")
    (post,) = receiver.posts
    assert (post.id, post.headers["X-Token"]) == ("id-1", SECRET)
    assert post.body == MESSAGE.payload | {"title": "title ä", "body": "body\n.\nö"}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(204, "sent"), (301, "refused"), (404, "refused"), (401, "refused"), (408, "unavailable"), (429, "unavailable"), (503, "unavailable")],
)  # fmt: skip
def test_an_answer_says_whether_to_try_again(receiver: HttpReceiver, status: int, outcome: str):
    receiver.status = status
    found, error = target(f'{{type: webhook, url: "{receiver.url("/" + SECRET)}"}}').send(MESSAGE)
    assert found.value == outcome
    assert error in {"", f"the server answered with status {status}"}


@pytest.mark.parametrize(
    "entry",
    [
        '{type: webhook, url: "http://user:${SECRET}@ADDRESS/${SECRET}?token=${SECRET}"}',
        '{type: webhook, url: "https://ADDRESS/${SECRET}"}',
        '{type: apprise, url: "json://user:${SECRET}@ADDRESS/${SECRET}/?+X-Token=${SECRET}"}',
        '{type: email, to: [a@b.c], from: a@b.c, host: 127.0.0.1, port: PORT, security: none, user: u, password: "${SECRET}"}',
    ],
)
def test_no_reason_of_a_failure_shows_a_secret(entry: str):
    with unused_port() as holder:
        address = address_of(holder)
        filled = entry.replace("ADDRESS", address).replace("PORT", address.rpartition(":")[2])
        found, error = target(filled).send(MESSAGE)
    assert found is Outcome.UNAVAILABLE
    assert error
    assert SECRET not in error


def test_a_service_of_apprise_carries_the_id_where_it_has_headers(receiver: HttpReceiver):
    url = f"json://127.0.0.1:{receiver.port}/apprise"
    assert target(f'{{type: apprise, url: "{url}"}}').send(MESSAGE) == (Outcome.SENT, "")
    (post,) = receiver.posts
    assert post.id == "id-1"
    assert (post.body["title"], post.body["message"]) == ("title ä", "body\n.\nö")
    receiver.status = 500
    outcome, error = target(f'{{type: apprise, url: "{url}"}}').send(MESSAGE)
    assert outcome is Outcome.UNAVAILABLE
    assert "500" in error


def test_a_mail_has_the_id_and_its_text_unchanged():
    port = free_port()
    entry = f"{{type: email, to: [a@b.c, d@e.f], from: m@x.y, host: 127.0.0.1, port: {port}, security: none}}"
    with mail_server(port) as mailbox:
        assert target(entry).send(MESSAGE) == (Outcome.SENT, "")
        (mail,) = mailbox.mails
        assert (mail["Message-ID"], mail["Subject"], mail["To"]) == ("<id-1@x.y>", "title ä", "a@b.c, d@e.f")
        assert mail.get_content().split() == ["body", ".", "ö"]
        mailbox.answer = "554 no"
        assert target(entry).send(MESSAGE) == (Outcome.REFUSED, "the server answered 554 no")
        mailbox.answer = "451 later"
        assert target(entry).send(MESSAGE)[0] is Outcome.UNAVAILABLE
        encrypted = entry.replace("security: none", "security: starttls")
        assert target(encrypted).send(MESSAGE)[0] is Outcome.REFUSED, "the server has no STARTTLS"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{type: apprise, url: 'nope://x'}", "Apprise does not understand the URL"),
        ("{type: email, to: [a@b.c], from: a@b.c, host: mail, security: none, password: p}", "readable on its way"),
        ("{type: webhook, url: 'https://x', headers: {'a b': c}}", "a name of a header is one word"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_work_is_refused_with_the_file(entry: str, message: str, tmp_path: Path):
    from parallelm.definitions import DefinitionError

    file = tmp_path / "f"
    file.write_text(f"receivers: [{{name: team, targets: [{entry}]}}]\nalerts: {{receiver: team}}\n")
    with pytest.raises(DefinitionError, match=message):
        read_rules(file, {})
