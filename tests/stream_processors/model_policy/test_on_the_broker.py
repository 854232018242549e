"""Model policies on a real broker, with the worker as a process: reviews, canaries, alerts that roll back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.operations import models as operations
from parallelm.operations.errors import UnknownMLAppError, UnknownNodeError
from parallelm.operations.quality import Enough, report_quality
from parallelm.schemas.records import DeploymentState as State
from parallelm.schemas.records import Event, Series, StatisticsBatch, StructuredStatistic
from parallelm.schemas.topics import (
    DEAD_LETTERS,
    DEPLOYMENTS,
    EVENTS,
    STATISTICS,
    STRUCTURED_STATISTICS,
    origin_key,
)
from parallelm.warehouse import migrate
from parallelm.warehouse.queries.model_quality import Judged
from tests.people import person
from tests.stream_processors.live import DAY, START
from tests.waiting import wait_for
from tests.warehouse.rows import insert

from .policies import POLICIES
from .scenario import CANARY_NODE, HEAD, RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stream_processors.live import Cluster, Worker

pytestmark = pytest.mark.usefixtures("worker")

JUDGED_LATER = """policy:
  model_policy: canary
  canary:
    node: predict-canary
    metrics:
      - {metric: quality.accuracy, match: {by: hour}, direction: decrease, critical: true, must_have_data: true}
    min_samples: 4
    duration: 3h
"""


def apply(cluster: Cluster, policy: str) -> None:
    nodes = HEAD + CANARY_NODE if "predict-canary" in POLICIES[policy] else HEAD
    cluster.apply(nodes + POLICIES[policy] + RULES)


def accept(cluster: Cluster, day: float, model: str, node: str = "predict") -> None:
    event = Event(
        origin=cluster.origin(node), producer_id="p", seq=0, event_time_ms=int(START + day * DAY), event_id="e",
        type="ModelAccepted", title="", description="", is_alert=False, model_id=model, labels={}, content_type="",
        data=b"",
    )  # fmt: skip
    cluster.send_bytes(EVENTS, cluster.mlapp.encode(), cluster.codec.encode(event))


def report(
    cluster: Cluster, day: float, name: str, values: Sequence[float], model: str, node: str = "predict"
) -> None:
    series = Series(
        name=name, model_id=model, category="TIME_SERIES", graph_type="LINEGRAPH", labels={},
        timestamps_ms=[START + day * DAY + n * 1_000 for n in range(len(values))], values=values,
    )  # fmt: skip
    origin = cluster.origin(node)
    batch = StatisticsBatch(origin=origin, producer_id="p", seq=0, series=[series])
    cluster.send_bytes(STATISTICS, origin_key(origin), cluster.codec.encode(batch))


def predict(cluster: Cluster, day: float, weights: tuple[int, int], model: str, node: str) -> None:
    """As a component reports its bar graph of predictions."""
    bars = [{"0 to 0.5": weights[0]}, {"0.5 to 1": weights[1]}]
    record = StructuredStatistic(
        origin=cluster.origin(node), producer_id="p", seq=0, event_time_ms=int(START + day * DAY),
        name="PredictionHistogram", model_id=model, graph_type="BARGRAPH", mode="INSTANT", labels={},
        content_type="application/json", data=json.dumps({"PredictionHistogram": bars}).encode(), histograms=(),
    )  # fmt: skip
    cluster.send_bytes(STRUCTURED_STATISTICS, origin_key(record.origin), cluster.codec.encode(record))


def steps(cluster: Cluster) -> list[str]:
    return [
        f"{each.model_id} {each.state.value}" + ("" if each.node_id == "predict" else f" on {each.node_id}")
        for each in cluster.read(DEPLOYMENTS)
    ]


def leads_to(cluster: Cluster, *expected: str) -> None:
    cluster.flush()
    wait_for(
        lambda: steps(cluster)[-len(expected) :] == list(expected),
        lambda: f"{expected}, not {steps(cluster)}",
    )


def decide(cluster: Cluster, action: str, model: str = "", node: str = "") -> list[str]:
    answers = operations.decide(
        cluster.settings,
        action,
        cluster.mlapp,
        who=person("anna"),
        comment="as agreed",
        node_id=node,
        model_id=model,
    )
    assert all(answer.who == "anna" and answer.cause.topic.endswith("actions") for answer in answers)
    return [f"{answer.model_id} {answer.state.value}" for answer in answers]


def live_and_candidate(cluster: Cluster, policy: str) -> None:
    """m1 is live, m2 was published."""
    apply(cluster, policy)
    cluster.model(1, "m1")
    leads_to(cluster, "m1 requested")
    accept(cluster, 2, "m1")
    beside = "predict-canary" in POLICIES[policy]
    leads_to(cluster, "m1 requested on predict-canary" if beside else "m1 active")
    cluster.model(3, "m2")


def test_a_person_approves_rejects_and_is_answered_when_it_is_too_late(cluster: Cluster):
    apply(cluster, "manual")
    cluster.model(1, "m1")
    cluster.model(2, "m2")
    leads_to(cluster, "m1 awaiting_approval", "m2 awaiting_approval")
    assert decide(cluster, "reject", "m1") == ["m1 rejected"]
    assert decide(cluster, "approve") == ["m2 requested"]
    assert decide(cluster, "approve", "m2") == ["m2 refused"]
    assert decide(cluster, "approve", "m1") == ["m1 refused"]
    accept(cluster, 3, "m2")
    leads_to(cluster, "m2 accepted", "m2 active")
    assert decide(cluster, "pin") == ["m2 pinned"]
    assert decide(cluster, "deploy", "m1") == ["m1 refused"]
    assert decide(cluster, "unpin", node="predict") == ["m2 unpinned"]
    assert decide(cluster, "deploy", "m1") == ["m1 requested"]
    accept(cluster, 4, "m1")
    leads_to(cluster, "m1 accepted", "m1 active", "m2 superseded")
    assert decide(cluster, "roll_back") == ["m1 rolled_back", "m2 requested"]
    assert cluster.read(DEAD_LETTERS) == []


def test_a_canary_that_is_as_good_is_promoted_by_its_numbers_over_a_kill_of_the_worker(
    cluster: Cluster, worker: Worker
):
    live_and_candidate(cluster, "canary")
    leads_to(cluster, "m2 canary", "m2 requested on predict-canary")
    accept(cluster, 4, "m2", "predict-canary")
    # What was asked of the canary node before is over.
    leads_to(cluster, "m2 active on predict-canary", "m1 superseded on predict-canary")
    report(cluster, 5, "latency", [2 + n / 100 for n in range(40)], "m1")
    report(cluster, 5, "latency", [2.006 + n / 100 for n in range(10)], "m2", "predict-canary")
    cluster.flush()
    worker.kill()
    worker.start()
    report(cluster, 5, "latency", [2.005 + n / 100 for n in range(10, 40)], "m2", "predict-canary")
    leads_to(cluster, "m2 requested")
    (promoted,) = [each for each in cluster.read(DEPLOYMENTS) if each.previous_state is State.CANARY]
    assert "canary passed: score 100 of 100" in promoted.reason
    assert '"p_value"' in promoted.evidence_json


def test_a_canary_that_is_slower_is_rolled_back_and_its_node_gets_the_live_model(cluster: Cluster):
    live_and_candidate(cluster, "canary")
    leads_to(cluster, "m2 canary", "m2 requested on predict-canary")
    accept(cluster, 4, "m2", "predict-canary")
    leads_to(cluster, "m2 active on predict-canary", "m1 superseded on predict-canary")
    report(cluster, 5, "latency", [2 + n / 100 for n in range(40)], "m1")
    report(cluster, 5, "latency", [3 + n / 100 for n in range(40)], "m2", "predict-canary")
    leads_to(
        cluster,
        "m2 rolled_back on predict-canary",
        "m1 requested on predict-canary",
        "m2 rolled_back",
    )
    assert cluster.read(DEPLOYMENTS)[-1].reason == "canary failed: score 0 of 100; worse: latency"


@pytest.mark.parametrize(
    ("weights", "leads"),
    [
        ((52, 48), ["m2 requested"]),
        ((95, 5), ["m2 rolled_back on predict-canary", "m1 requested on predict-canary", "m2 rolled_back"]),
    ],
)
def test_a_canary_is_judged_by_its_predictions(cluster: Cluster, weights: tuple[int, int], leads: list[str]):
    live_and_candidate(cluster, "predicting")
    leads_to(cluster, "m2 canary", "m2 requested on predict-canary")
    accept(cluster, 4, "m2", "predict-canary")
    leads_to(cluster, "m2 active on predict-canary", "m1 superseded on predict-canary")
    predict(cluster, 5, (50, 50), "m1", "predict")
    predict(cluster, 5, weights, "m2", "predict-canary")
    leads_to(cluster, *leads)
    assert '"rmse"' in cluster.read(DEPLOYMENTS)[-1].evidence_json


@pytest.mark.parametrize(
    ("right", "leads"),
    [
        (True, ["m2 requested"]),
        (False, ["m2 rolled_back on predict-canary", "m1 requested on predict-canary", "m2 rolled_back"]),
    ],
)
def test_a_canary_waits_for_the_outcomes_of_its_predictions(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, right: bool, leads: list[str]
):
    """Predictions of both models are known for hours; their accuracy only once the outcomes are."""
    monkeypatch.setitem(POLICIES, "judged later", JUDGED_LATER)
    migrate(cluster.settings)
    live_and_candidate(cluster, "judged later")
    leads_to(cluster, "m2 canary", "m2 requested on predict-canary")
    accept(cluster, 4, "m2", "predict-canary")
    leads_to(cluster, "m2 active on predict-canary", "m1 superseded on predict-canary")
    judged, enough = Judged(mlapp_id=cluster.mlapp), Enough(known=5, known_share=0.9)
    ids = [(hour, number) for hour in range(6) for number in range(10)]
    made = {"mlapp_id": cluster.mlapp, "outcome": "late", "sampled_share": 1.0}
    with clickhouse_client(cluster.settings.clickhouse) as client:
        insert(client, "predictions", [
            made | {
                "node_id": node, "kind": "class", "model_id": model, "prediction_id": f"{hour}/{number}",
                "event_time": START + 5 * DAY + hour * 3_600_000 + number, "predicted_class": predicted,
            }
            for node, model, predicted in (
                ("predict", "m1", "late"), ("predict-canary", "m2", "late" if right else "on time")
            )
            for hour, number in ids
        ])  # fmt: skip
        known = {"mlapp_id": cluster.mlapp, "outcome": "late", "event_time": START + 6 * DAY}
        # Of the first two hours nearly all outcomes are there: too few hours for a verdict.
        for hours in ((0, 1), (2, 3, 4, 5)):
            assert steps(cluster)[-1] == "m1 superseded on predict-canary"
            insert(client, "actuals", [
                known | {"prediction_id": f"{hour}/{number}", "actual": "late"} for hour, number in ids if hour in hours
            ])  # fmt: skip
            assert report_quality(
                cluster.settings, judged, enough=enough, by="hour", measures=("accuracy",)
            ) >= 2 * len(hours)
            cluster.flush()
    leads_to(cluster, *leads)


def test_an_alert_that_the_policy_names_rolls_the_model_back(cluster: Cluster):
    live_and_candidate(cluster, "guarded")
    leads_to(cluster, "m2 requested")
    accept(cluster, 4, "m2")
    leads_to(cluster, "m2 accepted", "m2 active", "m1 superseded")
    report(cluster, 5, "latency", [9.0], "m2")
    report(cluster, 6, "drift", [0.9], "m2")
    leads_to(cluster, "m2 rolled_back", "m1 requested")
    rolled_back = cluster.read(DEPLOYMENTS)[-2]
    assert "alert 'drift' (critical) fired" in rolled_back.reason
    assert rolled_back.event_time_ms == START + 6 * DAY


def test_a_gate_after_takes_a_bad_model_away(cluster: Cluster):
    apply(cluster, "gated")
    for day, model in ((1, "m1"), (3, "m2")):
        report(cluster, day, "accuracy", [0.95], model, "train")
        cluster.model(day, model)
        leads_to(cluster, f"{model} requested")
        accept(cluster, day + 1, model)
        cluster.flush()
        wait_for(lambda model=model: f"{model} active" in steps(cluster), "it is live")
    report(cluster, 5, "errors", [0.05, 0.3], "m1")
    report(cluster, 5, "errors", [0.3], "m2")
    leads_to(cluster, "m2 rolled_back", "m1 requested")
    assert "gate after: errors is 0.3, wanted <= 0.1" in cluster.read(DEPLOYMENTS)[-2].reason


def test_an_action_that_cannot_be_is_refused_before_it_is_written(cluster: Cluster):
    apply(cluster, "manual")
    with pytest.raises(UnknownNodeError, match="no node 'train' that consumes models; there are: predict"):
        operations.decide(cluster.settings, "approve", cluster.mlapp, who=person("anna"), node_id="train")
    with pytest.raises(UnknownMLAppError, match="there is no MLApp 'nothing'"):
        operations.decide(cluster.settings, "approve", "nothing", who=person("anna"))
