"""``mcenter notifier validate | test`` and ``mcenter alerts silence | unsilence | silences``, as their users meet them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from parallelm.connections import Settings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.operations.silences import list_silences, silences_of
from parallelm.operations.topic_records import read_records
from parallelm.schemas.topic_reader import StartPoint
from parallelm.schemas.topics import ACTIONS
from tests.stream_processors.notifications.receivers import http_receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = """\
receivers:
  - name: team
    title: "{{ status }} {{ group_labels.mlapp }}"
    targets:
      - {type: webhook, url: "URL/one?token=${HOOK_TOKEN}"}
      - {type: webhook, url: "URL/two"}
  - name: nobody
alerts:
  receiver: nobody
  routes:
    - {name: critical, matchers: [severity=critical], receiver: team}
"""


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``mcenter`` with this test's settings."""
    save_settings(settings, tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_a_file_is_validated_and_a_route_tried_out_without_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    file = tmp_path / "n.yaml"
    with http_receiver() as receiver:
        file.write_text(RULES.replace("URL", receiver.url("")))
        missing = run("notifier", "validate", file)
        assert missing.exit_code == 1
        assert "n.yaml:5:30: the environment variable HOOK_TOKEN is not set" in missing.output
        assert run("notifier", "validate", file, "--without-variables").output.endswith(
            "is valid: 2 routes, 2 receivers\n"
        )
        monkeypatch.setenv("HOOK_TOKEN", "kQ7zVn3pTs9w")
        for route in ("critical", "alerts/0"):
            assert run("notifier", "test", route, "--file", file).output == (
                "team/webhook/0: sent\nteam/webhook/1: sent\n"
            )
        assert receiver.posts[0].title == "[TEST] firing test"
        assert receiver.posts[0].body["firing"][0]["labels"]["severity"] == "critical"
        receiver.statuses["/one"] = 403
        failed = run("notifier", "test", "critical", "--file", file)
    assert failed.exit_code == 1
    assert "team/webhook/0: refused: the server answered with status 403" in failed.output
    assert "team/webhook/1: sent" in failed.output
    unknown = run("notifier", "test", "critcal", "--file", file)
    assert (unknown.exit_code, "there are: alerts, critical" in unknown.output) == (2, True)
    assert "nobody is notified" in run("notifier", "test", "alerts", "--file", file).output
    assert run("notifier", "--file", tmp_path / "none.yaml").exit_code == 1


@pytest.mark.usefixtures("topics")
def test_silences_are_made_listed_and_ended_with_who_and_why(run: Callable[..., Result], settings: Settings):
    made = run(
        "alerts", "silence", "mlapp=app", "node=~p.*", "--for", "2h", "--comment", "known", "--who", "ann"
    )
    assert made.exit_code == 0, made.output
    silence_id = made.output.split()[1]
    later = run(
        "alerts", "silence", "alertname!=x", "severity=info", "--until", "2199-01-01", "--comment", "c"
    )
    assert later.exit_code == 0, later.output

    rows = json.loads(run("alerts", "silences", "--format", "json").output)
    assert [(row["silence_id"], row["state"], row["matchers"], row["who"]) for row in rows][:1] == [
        (silence_id, "in force", 'mlapp="app", node=~"p.*"', "ann")
    ]
    [silence, _] = list_silences(settings)
    now_ms = silence.starts_at_ms
    assert silences_of([silence], {"mlapp": "app", "node": "predict"}, now_ms) == [silence]
    assert silences_of([silence], {"mlapp": "app", "node": "train"}, now_ms) == []
    assert silences_of([silence], {"mlapp": "app", "node": "predict"}, silence.ends_at_ms) == []

    assert run("alerts", "unsilence", silence_id, "--comment", "over", "--who", "bob").exit_code == 0
    again = run("alerts", "unsilence", silence_id, "--comment", "over")
    assert (again.exit_code, "has ended already" in again.output) == (1, True)
    listed = [
        json.loads(run("alerts", "silences", *all_, "--format", "json").output) for all_ in ((), ("--all",))
    ]
    assert [len(rows) for rows in listed] == [1, 2]

    actions = [record.value for record in read_records(settings, ACTIONS, StartPoint("beginning"))]
    assert sorted((each.action, each.mlapp_id, each.who, each.comment) for each in actions)[1:] == [
        ("silence", "app", "ann", "known"),
        ("unsilence", "app", "bob", "over"),
    ]
    assert {each.mlapp_id for each in actions} == {"app", "*"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "--for", "2h"), "is not a matcher"),
        (("a=~(", "--for", "2h"), "not a regular expression"),
        (("a=b",), "either --for or --until"),
        (("a=b", "--for", "soon"), "is not a duration"),
        (("a=b", "--for", "0s"), "would end before it starts"),
        (("a=b", "--until", "2001-01-01"), "would end before it starts"),
        (("a=~.*", "--for", "1h"), "would mute every alert"),
        (("a=", "--for", "1h"), "would mute every alert"),
        (("alertname=", "--for", "1h"), "holds for no alert: each has a label 'alertname'"),
        (("mlapp!~.+", "--for", "1h"), "holds for no alert: each has a label 'mlapp'"),
        (("alertname!=", "--for", "1h"), "would mute every alert"),
        (("severity=~.+", "a=", "--for", "1h"), "would mute every alert"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(
    run: Callable[..., Result], arguments: tuple[str, ...], message: str
):
    refused = run("alerts", "silence", *arguments, "--comment", "c")
    assert refused.exit_code != 0
    assert message in refused.output
