"""What the API tells of the seeded MLApp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_mlapp_is_told_with_its_nodes_rules_and_versions(client: httpx.Client):
    found = get(client, "/mlapps/churn")
    assert (found["name"], found["version"], found["applied_by"]) == ("Customers who may leave", 1, "ada")
    assert [node["node_id"] for node in found["nodes"]] == ["train", "predict", "predict-key-accounts"]
    assert "0.5" in str(found["rules"][0]["parameters"])
    assert get(client, "/mlapps", search="CUSTOMERS")["items"][0]["node_count"] == 3
    assert get(client, "/mlapps", search="nobody")["items"] == []
    assert get(client, "/mlapps/churn/versions")["items"][0]["version"] == 1
    assert get(client, "/mlapps/churn/versions/1")["definition"].startswith("mlapp: churn")
    assert get(client, "/mlapps/churn/policy")["model_policy"] == "always_update"
    assert {agent["agent_id"] for agent in get(client, "/mlapps/churn/agents")} == {"host-1"}


def test_alerts_are_filtered_and_told_with_their_transitions_and_reasons(client: httpx.Client):
    slow = get(client, "/alerts", rule="slow answers", severity="critical")["items"]
    assert {each["state"] for each in slow} == {"resolved", "firing"}
    alert = slow[0]
    assert alert["started_at"].endswith("Z")
    shown = get(client, f"/mlapps/churn/alerts/{alert['alert_id']}")
    assert shown["transitions"][-1]["state"] == alert["state"]
    told = get(client, f"/mlapps/churn/alerts/{alert['alert_id']}/explanation")
    assert "slow answers" in told["text"]
    assert told["parts"]
    assert get(client, "/alerts", label="node=nowhere")["items"] == []
    assert get(client, "/alerts", open_only=True)["items"]


def test_models_are_filtered_and_compared(client: httpx.Client):
    new, old = get(client, "/models", mlapp_id="churn")["items"]
    assert (new["name"], old["name"]) == ("churn-30", "churn-00")
    assert new["live_on"] == ["predict"]
    assert get(client, "/models", name="churn-00")["items"] == [old]
    assert get(client, "/models", format="Onnx")["items"] == []
    assert get(client, "/models", **{"from": "2026-05-20"})["items"] == [new]
    path = f"/mlapps/churn/models/{new['model_id']}"
    assert get(client, path) == new
    compared = get(client, f"{path}/comparison", other_id=old["model_id"])
    assert "Accuracy Score" in {each["statistic"] for each in compared}
