"""What people do through the API arrives with its author, and says why where it is refused."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.operations.definitions import apply_definition, validate_definition
from tests.people import person
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from parallelm.connections import Settings

APP = "actions-app"
DEFINITION = f"""\
mlapp: {APP}
nodes:
  - {{id: train, type: model_producer}}
  - {{id: serve, type: model_consumer, parents: [train], consumes: [train]}}
policy: {{model_policy: manual}}
alerts: []
"""


@pytest.fixture(scope="module")
def app(platform: Settings) -> str:
    apply_definition(platform, validate_definition(DEFINITION.encode(), "app.yaml"), who=person("ada"))
    return f"/api/v1/mlapps/{APP}"


def upload(client: httpx.Client, app: str, name: str, content: bytes = b'{"bias": 1}') -> dict[str, Any]:
    wait_for(lambda: client.get(app).status_code == 200, "the MLApp is not known")
    answer = client.post(
        f"{app}/models",
        data={"name": name, "format": "Json", "node_id": "train", "annotations": '{"team": "retention"}'},
        files={"file": ("model.json", content)},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def decide(client: httpx.Client, app: str, action: str, **more: Any) -> dict[str, Any]:
    answer = client.post(f"{app}/decisions", json={"action": action, "comment": "tried", **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["answers"][0])


def test_a_model_is_uploaded_approved_read_and_deleted_when_nothing_uses_it(client: httpx.Client, app: str):
    content = b'{"not": "to be opened"' * 100_000
    made = upload(client, app, "first", content)
    assert made["sha256"] == hashlib.sha256(content).hexdigest()
    path = f"{app}/models/{made['model_id']}"
    shown = client.get(path).json()
    assert (shown["owner"], shown["annotations"]["team"]) == ("ada", "retention")
    assert client.get(f"{path}/file").content == content
    approved = decide(client, app, "approve", model_id=made["model_id"])
    assert (approved["state"], approved["who"]) == ("requested", "ada")
    refused = client.delete(path, params={"comment": "no"})
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:mcenter:problem:model-in-use"

    other = upload(client, app, "second")
    assert decide(client, app, "reject", model_id=other["model_id"])["state"] == "rejected"
    path = f"{app}/models/{other['model_id']}"
    assert client.delete(path, params={"comment": "not needed"}).status_code == 200
    wait_for(lambda: client.get(path).json()["deleted_by"] == "ada", "its end is not told")
    gone = client.get(f"{path}/file")
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:mcenter:problem:model-deleted")
    states = [each["state"] for each in client.get(f"{app}/deployment-history").json()["items"]]
    assert {"requested", "rejected", "awaiting_approval", "deleted"} <= set(states)
    found = client.get("/api/v1/deployments", params={"mlapp_id": APP}).json()["items"]
    told = client.get(f"{app}/deployments/{found[0]['deployment_id']}/explanation").json()
    assert "first" in str(told) or "second" in str(told)


@pytest.mark.parametrize(
    ("form", "file", "status", "said"),
    [
        ({"format": "Pickle"}, b"x", 422, "there is no format 'Pickle'"),
        ({"format": "Json"}, b"", 422, "empty"),
        ({"format": "Savedmodel"}, b"x", 422, "tar.gz"),
        ({"format": "Json", "node_id": "nowhere"}, b"x", 404, "no node 'nowhere'"),
        ({"format": "Json", "annotations": "[]"}, b"x", 422, "JSON object"),
    ],
)
def test_what_is_no_model_is_refused_in_words(
    client: httpx.Client, app: str, form: dict[str, str], file: bytes, status: int, said: str
):
    wait_for(lambda: client.get(app).status_code == 200, "the MLApp is not known")
    answer = client.post(f"{app}/models", data={"name": "m", **form}, files={"file": ("m.bin", file)})
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_decisions_about_what_is_not_there_are_refused(client: httpx.Client, app: str):
    wait_for(lambda: client.get(app).status_code == 200, "the MLApp is not known")
    unknown = client.post(f"{app}/decisions", json={"action": "approve", "model_id": "none"})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:mcenter:problem:unknown-model")
    nowhere = client.post("/api/v1/mlapps/none/decisions", json={"action": "approve"})
    assert (nowhere.status_code, nowhere.json()["detail"]) == (404, "there is no MLApp 'none'")
    other = client.post(f"{app}/decisions", json={"action": "explode"})
    assert (other.status_code, other.json()["type"]) == (422, "urn:mcenter:problem:invalid-request")
    assert client.post(f"{app}/decisions", json={"action": "deploy"}).status_code == 422


def test_an_alert_is_acknowledged_once_and_closed(client: httpx.Client):
    alert = client.get("/api/v1/alerts", params={"rule": "slow answers", "open_only": True}).json()["items"][
        0
    ]
    path = f"/api/v1/mlapps/churn/alerts/{alert['alert_id']}"
    taken = client.post(f"{path}/acknowledge", json={"comment": "I look"})
    assert (taken.status_code, taken.json()["state"], taken.json()["who"]) == (200, "acknowledged", "ada")
    wait_for(lambda: client.get(path).json()["acknowledged_by"] == "ada", "it is not told")
    again = client.post(f"{path}/acknowledge", json={})
    assert (again.status_code, again.json()["type"]) == (409, "urn:mcenter:problem:alert-not-open")
    unknown = client.post("/api/v1/mlapps/churn/alerts/none/close", json={})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:mcenter:problem:unknown-alert")


def test_a_silence_is_made_listed_and_ended(client: httpx.Client):
    matchers = [{"label": "mlapp", "value": "churn"}, {"label": "node", "operator": "=~", "value": "pre.*"}]
    body = {"matchers": matchers, "ends_at": "2090-01-01", "comment": "moving"}
    made = client.post("/api/v1/silences", json=body)
    assert made.status_code == 201, made.text
    silence = made.json()
    assert (silence["who"], silence["ends_at"]) == ("ada", "2090-01-01T00:00:00.000Z")
    assert silence in client.get("/api/v1/silences", params={"in_force": True}).json()["items"]
    ended = client.post(f"/api/v1/silences/{silence['silence_id']}/end", json={"comment": "done"})
    assert ended.json()["is_over"]
    again = client.post(f"/api/v1/silences/{silence['silence_id']}/end", json={})
    assert "has ended already" in again.json()["detail"]
    every = client.post(
        "/api/v1/silences",
        json={**body, "matchers": [{"label": "severity", "operator": "=~", "value": ".*"}]},
    )
    assert (every.status_code, every.json()["type"]) == (422, "urn:mcenter:problem:silence")
    wrong = client.post(
        "/api/v1/silences", json={**body, "matchers": [{"label": "a", "operator": "=~", "value": "("}]}
    )
    assert "not a regular expression" in wrong.json()["detail"]
