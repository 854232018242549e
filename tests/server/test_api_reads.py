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
    # Another test may have acknowledged the one that fires.
    assert {"resolved"} < {each["state"] for each in slow} <= {"resolved", "firing", "acknowledged"}
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
    assert get(client, "/models", mlapp_id="churn", format="Onnx")["items"] == []
    assert get(client, "/models", mlapp_id="churn", **{"from": "2026-05-20"})["items"] == [new]
    path = f"/mlapps/churn/models/{new['model_id']}"
    assert get(client, path) == new
    compared = get(client, f"{path}/comparison", other_id=old["model_id"])
    assert "Accuracy Score" in {each["statistic"] for each in compared}


def test_statistics_are_lines_that_lose_no_peak(client: httpx.Client):
    names = {(each["name"], each["node_id"]) for each in get(client, "/mlapps/churn/statistics")["items"]}
    assert ("latency", "predict") in names
    exact = get(client, "/mlapps/churn/statistics/lines", name="latency")
    coarse = get(client, "/mlapps/churn/statistics/lines", name="latency", points=10)
    assert sum(line["samples"][0] for line in exact["lines"]) == len(exact["lines"])
    assert coarse["width_ms"] > exact["width_ms"]
    for found in (exact, coarse):
        assert max(max(line["maxima"]) for line in found["lines"]) > 0.8
        assert sum(sum(line["samples"]) for line in found["lines"]) == 60
        assert all(len(line["times_ms"]) <= 1000 for line in found["lines"])
    day = get(
        client, "/mlapps/churn/statistics/lines", name="latency", **{"from": "2026-05-03", "to": "2026-05-04"}
    )
    assert [line["samples"] for line in day["lines"]] == [[1]]
    shares = get(client, "/mlapps/churn/statistics/lines", name=["shares", "latency"], label="label=leaves")
    assert {line["name"] for line in shares["lines"]} <= {"shares"}


def test_tables_histograms_and_events_are_told_as_they_were_reported(client: httpx.Client):
    table = get(client, "/mlapps/churn/structured-statistics", name="largest")["items"][0]
    assert table["graph_type"] == "MATRIX"
    assert "Baker & Sons" in str(table["data"])
    feature = get(client, "/mlapps/churn/histograms", feature="age", node_id="predict", limit=1)["items"][0]
    assert len(feature["edges"]) == len(feature["weights"]) + 1
    assert feature["edges"][0] == "-Infinity"
    alert = get(client, "/events", is_alert=True)["items"][0]
    assert (alert["title"], alert["data"]["rows"]) == ("few customers", 200)
    events = get(client, "/events", mlapp_id="churn", type="GenericEvent")["items"]
    assert (
        sum(each["title"].startswith("campaign") for each in events) == 6
    )  # others are those of other tests
