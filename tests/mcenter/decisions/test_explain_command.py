"""``mcenter explain``: from a decision back to the numbers, on the real broker, processors, sink and engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from parallelm.schemas.topics import MODELS, STATISTICS
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Decisions

DEFINITION = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
policy: {model_policy: manual, review_timeout: 3d, cool_down: 90m}
alerts:
  - {name: late, type: threshold, statistic: share, above: 0.5, for: 2d, severity: critical}
"""


def firing(decisions: Decisions) -> str:
    """Id of an alert that has fired after three samples, was acknowledged and silenced."""
    decisions.cluster.apply(DEFINITION)
    for day, value in ((1, 0.4), (2, 0.7), (3, 0.8), (4, 0.9)):
        decisions.cluster.statistic(day, "share", value, labels={"region": "eu"})
        decisions.cluster.statistic(day, "share", 0.123, labels={"region": "us"})
    decisions.cluster.flush()
    alert = str(decisions.wait_for_alert("late", "firing")["alert_id"])
    done = decisions.run("alerts", "ack", alert, "--who", "ann", "--comment", "looking into it")
    assert done.exit_code == 0, done.output
    decisions.wait_for_alert("late", "acknowledged")
    return alert


def texts(part: dict[str, Any]) -> Iterator[str]:
    yield part["text"]
    for each in part["parts"]:
        yield from texts(each)


def test_an_alert_is_explained_down_to_the_samples(decisions: Decisions) -> None:
    alert = firing(decisions)
    mlapp = decisions.cluster.mlapp
    # Another version of the definition is in force now: the rule is explained as it was.
    decisions.cluster.apply(DEFINITION.replace("above: 0.5", "above: 0.2"))
    decisions.wait_for_alert("late", "resolved")
    decisions.run("alerts", "silence", f"mlapp={mlapp}", "--for", "1h", "--who", "bob", "--comment", "known")
    wait_for(lambda: "ann asked to" in decisions.run("explain", alert).output, "the action is stored")
    found = decisions.run("explain", alert)
    assert found.exit_code == 0, found.output
    topic = decisions.cluster.name(STATISTICS)
    lines = [line.lstrip("│├└─ ") for line in found.output.splitlines()]
    for text in (
        f"alert {alert}: rule 'late' of MLApp '{mlapp}' is resolved",
        "rule 'late' (threshold) as of version 1, applied by me",
        "condition: above 0.5",
        "value 0.9, compared with 0.5",
        "the last 4 samples of 'share' up to then",
    ):
        assert text in lines, found.output
    for beginning in (
        "firing at 2013-01-05 00:00:00: share is 0.9, above 0.5 for 2d",
        f"caused by {topic}/",
        "2013-01-03 00:00:00  0.7  " + topic,
        "acknowledged by ann at ",
        "ann asked to acknowledge at ",
        "resolved at ",
        "silenced now by bob (silence ",
    ):
        assert any(line.startswith(beginning) for line in lines), (beginning, found.output)
    assert "0.123" not in found.output, "samples of other series are not shown"
    tree = json.loads(decisions.run("explain", alert[:20], "--json").output)
    assert [line for line in texts(tree) if line in lines] == list(texts(tree))
    fired = next(part for part in tree["parts"] if part["text"].startswith("firing"))
    cause = next(part for part in fired["parts"] if part["text"].startswith("caused by"))
    assert ", on Kafka: StatisticsBatch of node 'predict' on 'host': 1 series" in cause["text"]
    assert cause["values"]["record"]["series"][0]["values"] == [0.9]


def test_what_kafka_has_forgotten_is_explained_from_the_warehouse(decisions: Decisions) -> None:
    alert = firing(decisions)
    forget = {
        (decisions.cluster.name(STATISTICS), partition): end
        for (_, partition), end in ends(decisions).items()
    }
    delete_before(decisions, forget)
    lines = decisions.run("explain", alert).output
    assert ", not on Kafka any more; the warehouse has 1 rows of it\n" in lines
    assert "name share, node_id predict, agent_id host, event_time 2013-01-05 00:00:00, value 0.9\n" in lines


def ends(decisions: Decisions) -> dict[tuple[str, int], int]:
    name = decisions.cluster.name(STATISTICS)
    return decisions.cluster._ends([(name, partition) for partition in range(STATISTICS.partitions)])


def delete_before(decisions: Decisions, offsets: dict[tuple[str, int], int]) -> None:
    from confluent_kafka import TopicPartition

    futures = decisions.cluster.admin.delete_records(
        [TopicPartition(*place, end) for place, end in offsets.items()]
    )
    for future in futures.values():
        future.result(120)


def test_a_deployment_is_explained_with_who_approved_it(decisions: Decisions) -> None:
    decisions.cluster.apply(DEFINITION)
    model = f"model-{decisions.cluster.mlapp}"
    decisions.cluster.model(1, model)
    decisions.cluster.flush()

    def states() -> list[str]:
        query = f"SELECT state FROM deployment_transitions WHERE model_id = '{model}' ORDER BY ingested_at, _offset"
        return [row[0] for row in decisions.platform.rows(query)]

    wait_for(lambda: states() == ["awaiting_approval"], "it waits for its approval")
    done = decisions.run(
        "model",
        "approve",
        model,
        "--mlapp",
        decisions.cluster.mlapp,
        "--who",
        "ann",
        "--comment",
        "as agreed",
    )
    assert done.exit_code == 0, done.output
    decisions.cluster.accept(2, model)
    decisions.cluster.flush()
    wait_for(lambda: "active" in states(), lambda: f"it is active: {states()}")
    found = decisions.run("explain", model[:-1])
    assert found.exit_code == 0, found.output
    for text in (
        f"of model {model} to node 'predict' of MLApp '{decisions.cluster.mlapp}', attempt 1: active\n",
        f"announced at 2013-01-02 00:00:00 by node 'train' on 'host' ({decisions.cluster.name(MODELS)}/",
        "policy manual as of version 1, applied by me\n",
        "review_timeout: 3d\n",
        "cool_down: 1h30m\n",
        "approve by ann: as agreed\n",
        "requested by ann at ",
        "active on agent 'host' at 2013-01-03 00:00:00",
    ):
        assert text in found.output, (text, found.output)
    assert json.loads(decisions.run("explain", model, "--json").output)["values"]["state"] == "active"


def test_what_is_not_there_is_named_with_what_is_near(decisions: Decisions) -> None:
    found = decisions.run("explain", "nonsense")
    assert found.exit_code == 1
    assert "no deployment has an id that begins with 'nonsense'; there is no run 'nonsense'" in found.output
    assert "there is no alert 'nonsense'" in found.output
    assert decisions.run("explain").exit_code == 2


def test_alerts_about_features_and_of_components_are_explained_by_their_own_reports(
    decisions: Decisions,
) -> None:
    cluster = decisions.cluster
    cluster.apply(DEFINITION + "  - {name: drift, type: health, threshold: 0.4}\n")
    for day, value in ((1, 0.9), (2, 0.2)):
        cluster.score(day, value, model="m1", feature="temp")
        cluster.score(day, 0.876, model="m1", feature="wind")
    cluster.event(3, "GenericDataAlert", is_alert=True, title="no input")
    cluster.flush()
    drift = decisions.wait_for_alert("drift", "firing")["alert_id"]
    found = decisions.run("explain", drift).output
    assert "the last sample of 'continuousDataHistogram.overlapResult' up to then" in found
    assert "2013-01-03 00:00:00  0.2  " in found
    assert "0.876" not in found
    component = decisions.wait_for_alert("GenericDataAlert", "firing")["alert_id"]
    found = decisions.run("explain", component).output
    assert "raised by the component itself" in found
    assert "on Kafka: Event of node 'predict' on 'host': GenericDataAlert" in found
