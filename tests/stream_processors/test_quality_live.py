"""Quality of a model, as outcomes arrive: a rule on it fires, through a worker on the real broker and the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.operations.errors import OperationError
from parallelm.operations.quality import AGENT_ID, Enough, report_quality
from parallelm.schemas.topics import ALERTS, STATISTICS
from parallelm.warehouse import migrate
from parallelm.warehouse.queries.model_quality import Judged
from tests.waiting import wait_for
from tests.warehouse.rows import insert

from .live import DAY, START, Worker

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_driver import Client

    from .live import Cluster

RULES = """\
mlapp: app
nodes: [{id: predict, type: model_consumer}]
alerts:
  - {name: wrong, type: threshold, statistic: quality.accuracy, below: 0.6}
"""
HOUR = DAY // 24
ENOUGH = Enough(known=4, known_share=0.5)


def prediction(number: int, day: int, mlapp: str) -> dict[str, object]:
    return {
        "mlapp_id": mlapp, "node_id": "predict", "outcome": "delayed", "kind": "score", "model_id": "m-1",
        "prediction_id": f"{day}-{number}", "event_time": START + day * DAY + number, "value": 0.9, "sampled_share": 1.0,
    }  # fmt: skip


def actual(number: int, day: int, mlapp: str, value: str) -> dict[str, object]:
    return {
        "mlapp_id": mlapp, "outcome": "delayed", "prediction_id": f"{day}-{number}", "event_time": START, "actual": value
    }  # fmt: skip


def store(own: Cluster, client: Client) -> list[dict[str, Any]]:
    """Give the warehouse the samples that were reported, as the sink does."""
    mlapp, own.mlapp = own.mlapp, f"{own.mlapp}/predict//{AGENT_ID}"  # the key of statistics
    reported, own.mlapp = own.read(STATISTICS), mlapp
    rows = [
        {
            "mlapp_id": own.mlapp, "node_id": "predict", "model_id": "m-1", "agent_id": AGENT_ID, "name": series.name,
            "labels": series.labels, "event_time": int(at_ms), "value": value,
        }
        for batch in reported
        for series in batch.series
        for at_ms, value in zip(series.timestamps_ms, series.values, strict=True)
    ]  # fmt: skip
    insert(client, "statistics", rows)
    return rows


def test_no_part_of_a_day_takes_the_place_of_the_day(own: Cluster) -> None:
    migrate(own.settings)
    noon = START + 12 * HOUR
    with clickhouse_client(own.settings.clickhouse) as client:
        # Right before noon, wrong from then on.
        rows = [prediction(n, 1, own.mlapp) for n in range(8)]
        late = [row | {"event_time": noon + DAY} if n > 3 else row for n, row in enumerate(rows)]
        insert(client, "predictions", late)
        insert(client, "actuals", [actual(n, 1, own.mlapp, "01"[n < 4]) for n in range(8)])
        for by, first in (("day", START + DAY), ("week", START - DAY)):
            judged = Judged(mlapp_id=own.mlapp, start="2013-01-02T12:00")
            assert report_quality(own.settings, judged, enough=ENOUGH, by=by, measures=["accuracy"]) == 1
            row = store(own, client)[-1]
            assert (row["event_time"], row["value"]) == (first, 0.5)
            judged = Judged(mlapp_id=own.mlapp, end="2013-01-02T12:00")
            assert report_quality(own.settings, judged, enough=ENOUGH, by=by, measures=["accuracy"]) == 0


def test_quality_is_told_of_each_kind_by_any_feature_with_any_value_and_only_once(own: Cluster) -> None:
    migrate(own.settings)
    features = {"a=b": "x\ny=z", "outcome-2": "v", "Ä": "=", "by!": "\n"}
    asked: dict[str, Any] = {
        "enough": ENOUGH,
        "by": "week",
        "segments": list(features),
        "measures": ["accuracy"],
    }
    judged = Judged(mlapp_id=own.mlapp)
    with clickhouse_client(own.settings.clickhouse) as client:
        rows = [prediction(n, 1, own.mlapp) | {"features": features} for n in range(8)]
        wrong = {"kind": "class", "predicted_class": "0"}
        insert(client, "predictions", rows + [prediction(n, 1, own.mlapp) | wrong for n in range(8)])
        insert(client, "actuals", [actual(n, 1, own.mlapp, "1") for n in range(8)])
        assert report_quality(own.settings, judged, **asked) == 6
        reported = store(own, client)
        assert {(row["labels"]["kind"], row["value"]) for row in reported} == {("score", 1.0), ("class", 0.0)}
        found = [row["labels"] for row in reported if row["labels"]["kind"] == "score"]
        shared = {"outcome": "delayed", "kind": "score", "by": "week"}
        assert sorted(found, key=str) == sorted(
            [shared, *({**shared, name: value} for name, value in features.items())], key=str
        )
        assert report_quality(own.settings, judged, **asked) == 0
        for name in ("outcome", "kind", "by"):
            with pytest.raises(OperationError, match=f"the feature '{name}' cannot be a segment"):
                report_quality(own.settings, judged, enough=ENOUGH, segments=[name])


def test_a_rule_on_accuracy_fires_at_the_time_of_the_predictions_once_enough_outcomes_are_known(
    own: Cluster, tmp_path: Path
) -> None:
    migrate(own.settings)
    own.apply(RULES)
    judged = Judged(mlapp_id=own.mlapp)
    with clickhouse_client(own.settings.clickhouse) as client, Worker(own.settings, tmp_path):
        insert(client, "predictions", [prediction(n, day, own.mlapp) for day in (1, 2) for n in range(8)])
        insert(client, "actuals", [actual(n, day, own.mlapp, "0") for day in (1, 2) for n in range(3)])
        assert report_quality(own.settings, judged, enough=ENOUGH) == 0
        # Day 1 becomes known and is fine, day 2 is wrong.
        insert(client, "actuals", [actual(n, 1, own.mlapp, "1") for n in range(8)])
        insert(client, "actuals", [actual(n, 2, own.mlapp, "0") for n in range(8)])
        assert report_quality(own.settings, judged, enough=ENOUGH) > 0
        wait_for(lambda: len(own.read(ALERTS)) == 1, "the rule fires")
        [fired] = own.read(ALERTS)
        assert (fired.rule, fired.state.value, fired.model_id) == ("wrong", "firing", "m-1")
        assert (fired.event_time_ms, fired.value) == (START + 2 * DAY, 0.0)
        assert fired.labels["outcome"] == "delayed"
        assert store(own, client)
        # What the warehouse has is not reported again; a revision is.
        assert report_quality(own.settings, judged, enough=ENOUGH) == 0
        insert(client, "actuals", [actual(n, 2, own.mlapp, "1") for n in range(8)])
        assert report_quality(own.settings, judged, enough=ENOUGH) > 0
        wait_for(lambda: len(own.read(ALERTS)) == 2, "the alert resolves")
        assert own.read(ALERTS)[1].state.value == "resolved"
