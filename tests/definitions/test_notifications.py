"""The notifier's file: every mistake with its place, defaults, and variables that are never shown."""

from __future__ import annotations

import pytest

from parallelm.definitions import DefinitionError
from parallelm.definitions.notifications import Checks, NotificationRules, parse_notifications

VALID = """\
receivers:
  - name: team
    targets:
      - {type: webhook, url: "https://hooks.example.org/${TOKEN}", headers: {Authorization: "Bearer ${TOKEN}"}}
      - {type: email, to: [a@example.org], from: m@example.org, host: mail, password: "pa$$word"}
alerts:
  receiver: team
  routes:
    - {name: critical, matchers: [severity=critical], receiver: team}
"""
SECRET = "kQ7zVn3pTs9w"  # noqa: S105 - it must appear nowhere


def parse(text: str, *, checks: Checks | None = None) -> NotificationRules:
    return parse_notifications(text, "f", {"TOKEN": SECRET}, checks)


def mistakes(text: str, *, checks: Checks | None = None) -> list[str]:
    with pytest.raises(DefinitionError) as raised:
        parse(text, checks=checks)
    return str(raised.value).splitlines()


def test_variables_are_put_in_and_shown_nowhere():
    rules = parse(VALID)
    first, second = rules.receivers["team"].targets
    assert first.url == f"https://hooks.example.org/{SECRET}"  # type: ignore[attr-defined]
    assert second.password == "pa$word"  # type: ignore[attr-defined]  # noqa: S105
    assert list(rules.receivers["team"].target_ids()) == ["team/webhook/0", "team/email/1"]
    assert SECRET not in repr(rules)
    assert "pa$" not in repr(rules)


@pytest.mark.parametrize("url", ["${HOOK}", "http://127.0.0.1:${PORT}/", "https://${HOST}/x"])
def test_any_part_of_a_url_may_be_a_variable_that_is_not_known_yet(url: str):
    text = VALID.replace("https://hooks.example.org/${TOKEN}", url)
    assert parse_notifications(text, "f", None).receivers["team"].targets[0].url == url  # type: ignore[attr-defined]


def test_every_mistake_is_reported_with_its_place():
    text = """\
receivers:
  - name: team
    targets:
      - {type: mail}
      - {type: webhook, url: "ftp://x", heders: {}}
      - {type: webhook, url: "https://x/${NOPE}"}
      - {type: email, to: [], from: nobody, host: h, port: 99999, security: ssl}
      - {type: apprise, url: nothing}
      - {url: x}
  - {name: team, targets: 5, rate_limit: {count: 0, per: 1h}}
alerts:
  matchers: [a=b]
  group_wait: 3
  group_interval: 0s
  routes:
    - {receiver: tem, matchers: ["a=~("], name: x}
    - {name: x, recever: team}
deployments: {receiver: nobody}
inhibit: [{source: []}]
"""
    found = mistakes(text)
    expected = [
        "f:4:16: receivers[0].targets[0].type is 'mail'; did you mean 'email'?",
        "f:5:30: receivers[0].targets[1].url is not valid: it must be a URL that begins with http:// or https://",
        "f:5:41: unknown key 'heders'; did you mean 'headers'?",
        "f:6:30: the environment variable NOPE is not set",
        "f:7:27: receivers[0].targets[3].to must not be empty",
        "f:7:37: receivers[0].targets[3].from is not valid: it must be one address, as in team@example.org",
        "f:9:9: receivers[0].targets[5] has no type; there are: apprise, email, webhook",
        "f:10:12: the receiver 'team' is defined twice",
        "f:10:27: receivers[1].targets must be a list",
        "f:12:3: alerts has no receiver: it is for all alerts that no route of it takes",
        "f:12:3: alerts must not have matchers: it takes everything that its routes do not",
        "f:16:18: there is no receiver 'tem'; did you mean 'team'?",
        "f:17:14: the route 'x' is defined twice",
        "f:17:17: unknown key 'recever'; did you mean 'receiver'?",
        "f:18:25: there is no receiver 'nobody'; there are: team",
        "f:19:11: inhibit[0].target is missing",
        "f:19:20: inhibit[0].source must not be empty",
    ]
    assert [line for line in expected if line not in found] == []
    about = " ".join(found)
    for word in (
        "port",
        "security",
        "url may contain",
        "count",
        "group_wait",
        "group_interval",
        "matchers[0]",
    ):
        assert word.split()[0] in about, word


def test_no_message_shows_the_value_of_a_variable():
    for text in (
        VALID.replace("type: email", "type: ${TOKEN}").replace("to: [a@", 'to: ["${TOKEN} @'),
        VALID.replace("host: mail", "host: mail, security: '${TOKEN}'"),
        VALID.replace("https://hooks", "${TOKEN}://hooks"),
    ):
        assert SECRET not in "".join(mistakes(text))
    seen: list[object] = []
    checks = Checks(target=lambda form: seen.append(form) or f"wrong: {SECRET}")  # type: ignore[func-returns-value]
    assert SECRET not in "".join(mistakes(VALID, checks=checks))
    assert seen


def test_templates_are_checked_with_their_place():
    checks = Checks(template=lambda text: "no" if "{{" in text else "")
    text = VALID.replace("    targets:\n", "    title: 'x'\n    body: '{{'\n    targets:\n", 1)
    assert mistakes(text, checks=checks) == ["f:4:11: receivers[0].body is not a template: no"]


def test_without_an_environment_the_rest_is_checked():
    assert parse_notifications(VALID, "f", None).receivers["team"].targets
    with pytest.raises(DefinitionError, match="names no variable"):
        parse_notifications(VALID.replace("${TOKEN}", "${NO TOKEN}", 1), "f", None)


@pytest.mark.parametrize(
    "text", ["", "[]", "receivers: 5", "alerts: []\nreceivers: [5]", "alerts: {routes: 3}"]
)
def test_any_shape_of_file_is_answered_with_mistakes(text: str):
    assert all(line.startswith("f:") for line in mistakes(text))
