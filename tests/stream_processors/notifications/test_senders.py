"""Senders against servers on this machine: what they send, how they judge answers, and that no text shows a secret."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.definitions.errors import DefinitionError
from parallelm.definitions.notifications import parse_notifications
from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.edge.senders import Message
from parallelm.stream_processors.notifications.edge.targets import Target, make_targets, read_rules
from parallelm.supervision.ports import choose_ports
from tests.producers.unused_port import address_of, unused_port
from tests.stream_processors.notifications.receivers import mail_server

if TYPE_CHECKING:
    from collections.abc import Callable

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


def documented_check() -> Callable[[dict[str, str], bytes, str], bool]:
    """What the documentation tells receivers to do."""
    text = Path("docs/notifications.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 - our own documentation
    check: Callable[[dict[str, str], bytes, str], bool] = names["is_genuine"]
    return check


def test_a_signed_webhook_passes_the_documented_check_and_nothing_else_does(
    receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
):
    old, new = (f"whsec_{base64.b64encode(bytes([each]) * 32).decode()}" for each in (1, 2))
    url = receiver.url("/hook").replace("http://", "http://me:pass@")
    text = f'receivers: [{{name: team, targets: [{{type: webhook, url: "{url}", secret: "${{OLD}} ${{NEW}}"}}]}}]\n'
    notifications = parse_notifications(f"{text}alerts: {{receiver: team}}\n", "f", {"OLD": old, "NEW": new})
    (found,) = make_targets(notifications).values()
    assert found.send(MESSAGE) == (Outcome.SENT, "")
    (post,) = receiver.posts
    headers = {name.lower(): value for name, value in post.headers.items()}
    assert headers["webhook-id"] == post.id == "id-1"
    assert post.headers["Authorization"].startswith("Basic ")
    is_genuine = documented_check()
    other = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    assert is_genuine(headers, post.raw, old)
    assert is_genuine(headers, post.raw, new)
    assert not is_genuine(headers, post.raw, other)
    assert not is_genuine(headers, post.raw + b" ", new)
    assert not is_genuine(headers | {"webhook-id": "id-2"}, post.raw, new)
    late = time.time() + 301
    monkeypatch.setattr(time, "time", lambda: late)
    assert not is_genuine(headers, post.raw, new)


@pytest.mark.parametrize("secret", ["hunter2", "whsec_", "whsec_!!", "whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_refused_with_how_to_make_one(secret: str):
    text = 'receivers: [{name: team, targets: [{type: webhook, url: "http://a.b/", secret: "${S}"}]}]\n'
    with pytest.raises(DefinitionError, match="openssl rand") as error:
        parse_notifications(f"{text}alerts: {{receiver: team}}\n", "f", {"S": secret})
    assert "hunter2" not in str(error.value)


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
