"""Definitions and rules over REST: mistakes with their places, versions that nobody overwrites unseen, rules tried first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from parallelm.operations.definitions import validate_definition
from parallelm.operations.errors import QuestionError
from parallelm.operations.rule_trials import try_rules
from parallelm.operations.trial_bounds import Bounds, Budget

if TYPE_CHECKING:
    from parallelm.connections import Settings

YAML = {"Content-Type": "application/yaml"}


def text(app: str, description: str = "", rule: str = "") -> str:
    return (
        f"mlapp: {app}\ndescription: {description or 'none'}\nnodes:\n  - {{id: train, type: model_producer}}\n"
        f"policy: {{model_policy: manual}}\nalerts: [{rule}]\n"
    )


def put(client: httpx.Client, app: str, content: str, **headers: str) -> httpx.Response:
    return client.put(f"/api/v1/mlapps/{app}/definition", content=content, headers=YAML | headers)


def test_every_mistake_of_a_file_comes_with_its_line_and_column(client: httpx.Client):
    wrong = "mlapp: x\nnodes:\n  - {id: train, type: nothing}\npolicy: {model_policy: alwys_update}\n"
    answer = client.post("/api/v1/definitions/check", content=wrong, headers=YAML)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mcenter:problem:invalid-file")
    places = {(each["line"], each["column"]): each["message"] for each in answer.json()["errors"]}
    assert {line for line, _ in places} == {3, 4}
    assert "always_update" in " ".join(places.values())


def test_rules_are_told_in_words(client: httpx.Client):
    rule = "{name: slow, type: threshold, statistic: latency, above: 0.5}"
    answer = client.post("/api/v1/definitions/check", content=text("x", rule=rule), headers=YAML)
    [told] = answer.json()["rules"]
    assert (told["name"], told["type"]) == ("slow", "threshold")
    assert "latency" in str(told["lines"])


def test_a_definition_is_made_changed_and_compared(client: httpx.Client):
    made = put(client, "put-app", text("put-app"), **{"If-None-Match": "*"})
    assert (made.status_code, made.headers["ETag"], made.json()["is_new"]) == (201, '"1"', True)
    assert put(client, "put-app", text("put-app"), **{"If-None-Match": "*"}).status_code == 412
    same = put(client, "put-app", f"# a comment\n{text('put-app')}")
    assert (same.status_code, same.json()) == (200, {"mlapp_id": "put-app", "version": 1, "is_new": False})
    changed = put(client, "put-app", text("put-app", "another"), **{"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    late = put(client, "put-app", text("put-app", "third"), **{"If-Match": '"1"'})
    assert (late.status_code, late.json()["type"]) == (412, "urn:mcenter:problem:definition-changed")
    assert "version 2" in late.json()["detail"]
    path = "/api/v1/mlapps/put-app"
    assert client.get(f"{path}/definition").headers["ETag"] == '"2"', "what was answered is there at once"
    assert client.get(f"{path}/definition").text == text("put-app", "another")
    difference = client.get(f"{path}/differences", params={"from_version": 1}).json()
    assert "+description: another" in difference["unified_diff"].splitlines()
    assert [each["version"] for each in client.get(f"{path}/versions").json()["items"]] == [2, 1]
    other = put(client, "put-app", text("other-app"))
    assert (other.status_code, other.json()["type"]) == (422, "urn:mcenter:problem:other-mlapp")


def test_of_concurrent_changes_of_one_version_one_is_applied(client: httpx.Client, platform: Settings):
    from parallelm.operations.definitions import get_definition

    assert put(client, "race-app", text("race-app")).status_code == 201

    def change(number: int) -> int:
        with httpx.Client(
            base_url=client.base_url, cookies=client.cookies, headers=client.headers, timeout=60
        ) as own:
            return put(
                own, "race-app", text("race-app", f"change {number}"), **{"If-Match": '"1"'}
            ).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(pool.map(change, range(6)))
    # When each begins before the one before it has ended, none is applied, and all are told so.
    assert statuses in ([200] + [412] * 5, [412] * 6)
    assert get_definition(platform, "race-app").version == (2 if 200 in statuses else 1)
    if 200 not in statuses:
        assert put(client, "race-app", text("race-app", "again"), **{"If-Match": '"1"'}).status_code == 200


def test_a_rule_is_tried_on_what_was_reported(client: httpx.Client):
    rule = "{name: slow, type: threshold, statistic: latency, above: 0.5}"
    tried = client.post("/api/v1/mlapps/churn/rules/trial", content=text("churn", rule=rule), headers=YAML)
    assert tried.status_code == 200, tried.text
    [outcome] = tried.json()["outcomes"]
    assert (outcome["rule"], outcome["judged"], outcome["fired"]) == ("slow", 60, 2)
    assert [each["state"] for each in tried.json()["alerts"]] == ["resolved", "firing"]
    limited = client.post(
        "/api/v1/mlapps/churn/rules/trial",
        params={"limit": 1},
        content=text("churn", rule=rule),
        headers=YAML,
    )
    assert (len(limited.json()["alerts"]), limited.json()["left_out"]) == (1, 1)


def test_a_trial_that_would_take_too_long_is_refused(platform: Settings):
    rule = "{name: slow, type: threshold, statistic: latency, above: 0.5}"
    tried = validate_definition(text("churn", rule=rule).encode(), "churn.yaml")
    assert try_rules(platform, tried, bounds=Bounds(samples=60, seconds=60)).outcomes[0].judged == 60
    with pytest.raises(QuestionError, match="59 samples were looked at: try a shorter time"):
        try_rules(platform, tried, bounds=Bounds(samples=59, seconds=60))
    budget = Budget(Bounds(samples=10_000, seconds=0.0))
    for _ in range(999):
        budget.spend()
    with pytest.raises(QuestionError, match="it took 0 s for 1000 samples"):
        budget.spend()
