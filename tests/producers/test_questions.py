"""Queries of components: against the real platform, and in modes without one."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from parallelm.mlops import MLOps
from parallelm.mlops.events.event_broker import EventBroker
from parallelm.mlops.events.event_filter import EventFilter
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.ion.ion import Agent
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat
from parallelm.schemas import topics
from tests.producers.definitions import definition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.producers.conftest import ComponentOnPlatform

REPORT = """
import numpy as np
from parallelm.mlops import mlops
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.table import Table
mlops.init()
with mlops.event_time("2013-01-01"):
    mlops.set_stat("line", 1.5)
    mlops.set_stat(MultiLineGraph().name("lines").labels(["b", "a"]).data([1, 2]))
    mlops.set_stat(Table().name("table").cols(["x", "y"]).add_row("r1", [1, 2]).add_row("r2", [3, 4]))
    mlops.set_stat(BarGraph().name("bars").cols(["p", "q"]).data([5, 6]))
    mlops.set_stat(BarGraph().name("ranges").cols([0, 1, 2]).data([5, 6]).as_continuous())
    mlops.set_stat(Opaque().name("opaque").data({"k": [1]}))
    mlops.set_stat(Graph().name("graph").set_x_series([1, 2]).add_y_series("y", [3, 4]))
    mlops.set_kpi("on-time", 0.7, labels={"carrier": "UA"})
    mlops.data_alert("alert", "words", {"n": 1})
    mlops.set_event("event", EventType.System, "data")
    model = mlops.Model("trees", ModelFormat.TEXT, "good")
    model.set_data_distribution_stat(np.arange(300.0).reshape(100, 3))
    open("m.txt", "w").write("weights")
    model.set_model_path("m.txt")
    print(mlops.publish_model(model))
with mlops.event_time("2013-01-02"):
    mlops.set_stat("line", 2.5)
mlops.done()
"""

ASK = """
import json, sys
from datetime import datetime
from parallelm.mlops import mlops
from parallelm.mlops.events.event_type import EventType
mlops.init()
first, last = datetime(2013, 1, 1), datetime(2013, 1, 3)
def stats(name, node=None, agent=None, end=last):
    frame = mlops.get_stats(name, node, agent, first, end)
    return json.loads(frame.to_json(orient="records", date_format="iso"))
model_id = sys.argv[1] if len(sys.argv) > 1 else mlops.get_models_by_time(first, last)["id"][0]
answers = {
    "line": stats("line"),
    "line on the first day": stats("line", "Training", "host-1", datetime(2013, 1, 1, 12)),
    "of another agent": stats("line", "Training", "host-9"),
    "unknown": stats("nothing"),
    "lines": stats("lines"),
    "table": stats("table"),
    "bars": stats("bars"),
    "ranges": stats("ranges"),
    "opaque": stats("opaque"),
    "graph": stats("graph"),
    "kpi": json.loads(mlops.get_kpi("on-time", first, last).to_json(orient="records")),
    "alerts": json.loads(mlops.get_events(start_time=first, end_time=last).to_json(orient="records")),
    "events": len(mlops.get_events(start_time=first, end_time=last, is_alert=None)),
    "no events": mlops.get_events(type=EventType.Health) is None,
    "models": json.loads(mlops.get_models_by_time(first, last, pipeline_name="train.py").to_json(orient="records")),
    "model": mlops.get_model_by_id(model_id, download=True)["data"].tolist(),
    "of another pipeline": len(mlops.get_models_by_time(first, last, pipeline_name="predict.py")),
    "distribution": json.loads(
        mlops.get_data_distribution_stats(model_id).to_json(orient="records", date_format="iso")
    ),
    "app": [mlops.mlapp_id, mlops.mlapp_name, str(mlops.mlapp_policy)],
    "nodes": [[node.name, node.id, node.pipeline_pattern_id, node.pipeline_agent_set] for node in mlops.nodes],
    "current": mlops.get_current_node().name,
    "agents": [agent.id for agent in mlops.get_agents("Training")],
    "agent": [mlops.get_agent("Training", "host-1").hostname, mlops.get_agent("Training", "host-9")],
}
mlops.done()
print(json.dumps(answers))
"""


def test_every_question_is_answered_from_what_was_reported(platform: ComponentOnPlatform) -> None:
    platform.produce(topics.MLAPPS, definition(), "app")
    model_id = platform.run(REPORT).strip()
    platform.rows("SELECT 1 FROM models")
    platform.rows("SELECT count() FROM events", lambda rows: rows[0][0] >= 2)
    platform.rows("SELECT count() FROM statistics WHERE name = 'line'", lambda rows: rows[0][0] >= 2)
    platform.rows("SELECT 1 FROM histograms")
    platform.rows("SELECT 1 FROM kpis")
    platform.rows("SELECT 1 FROM mlapps")
    output = json.loads(platform.run(ASK))

    place = {"node": "Training", "agent": "host-1"}
    day = "2013-01-01T00:00:00.000Z"
    assert output["line"] == [
        {"time": day, "value": 1.5} | place,
        {"time": "2013-01-02T00:00:00.000Z", "value": 2.5} | place,
    ]
    assert output["line on the first day"] == output["line"][:1]
    assert output["of another agent"] == output["unknown"] == []
    assert output["lines"] == [{"time": day, "b": 1.0, "a": 2.0} | place]
    assert output["table"] == [
        {"time": day, "row_name": name, "values": values, "columns": ["x", "y"]} | place
        for name, values in (("r1", [1, 2]), ("r2", [3, 4]))
    ]
    bars = {"time": day, "hist_values": [5, 6]} | place
    assert output["bars"] == [
        bars | {"hist_type": "categorical", "bin_edges": ["p", "q"], "stat_name": "bars"}
    ]
    assert output["ranges"] == [
        bars | {"hist_type": "continuous", "bin_edges": [0.0, 1.0, 2.0], "stat_name": "ranges"}
    ]
    assert output["opaque"] == [{"time": day, "data": {"k": [1]}} | place] or output["opaque"][0]["data"] == {
        "opaque": {"k": [1]}
    }
    assert output["graph"][0]["x_series"] == [1, 2]
    assert output["graph"][0]["y_series"] == [{"label": "y", "data": [3, 4]}]
    assert [(one["value"], one["labels"]) for one in output["kpi"]] == [(0.7, {"carrier": "UA"})]
    assert [(one["title"], one["type"], one["data"], one["node"]) for one in output["alerts"]] == [
        ("alert", "GenericDataAlert", {"n": 1}, "Training")
    ]
    assert [
        (one["created"], one["eventType"], one["raiseAlert"], one["host"]) for one in output["alerts"]
    ] == [(1_356_998_400_000, "GenericDataAlert", True, "host-1")]
    assert [(one["name"], one["ionName"], one["msgType"]) for one in output["alerts"]] == [
        ("alert", "Flights", "UNKNOWN")
    ]
    assert output["events"] == 2
    assert output["no events"]
    (model,) = output["models"]
    assert (model["id"], model["name"], model["format"], model["description"]) == (
        model_id,
        "trees",
        "Text",
        "good",
    )
    assert output["model"] == ["weights"]
    assert output["of another pipeline"] == 0
    assert sorted(one["stat_name"] for one in output["distribution"]) == ["c0", "c1", "c2"]
    assert {(one["modelId"], one["timestamp"]) for one in output["distribution"]} == {(model_id, day)}
    assert output["app"][:2] == ["app", "Flights"]
    assert output["app"][2].startswith("Policy:\nhealthThreshold: 0.2\ncanaryThreshold: 0.5\n")
    assert output["nodes"] == [
        ["Training", "train", "train.py", {"host-1": "pipeline-1"}],
        ["Prediction", "predict", "predict.py", {}],
    ]
    assert output["current"] == "Training"
    assert output["agents"] == ["host-1"]
    assert output["agent"] == ["host-1", None]


@pytest.fixture
def stand_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[MLOps]:
    for name in ("PM_MLOPS_MODE", "PM_MLOPS_FILE", "MCENTER_EVENT_TIME"):
        monkeypatch.delenv(name, raising=False)
    library = MLOps()
    library.init()
    yield library
    if library.init_called:
        library.done()


NOW = datetime(2026, 1, 2)  # noqa: DTZ001 - users pass naive ones
AN_HOUR_AGO = NOW - timedelta(hours=1)


def test_test_mode_checks_arguments_and_asks_nobody(stand_alone: MLOps) -> None:
    stand_alone._set_api_test_mode()
    assert stand_alone.get_stats("x", "1", Agent(), AN_HOUR_AGO, NOW) is None
    assert stand_alone.get_stats("x", None, None, AN_HOUR_AGO, NOW) is None
    assert stand_alone.get_kpi("x", AN_HOUR_AGO, NOW) is None
    assert stand_alone.get_events() is None
    wrong = [
        lambda: stand_alone.get_stats(None, "33", "a", AN_HOUR_AGO, NOW),  # type: ignore[arg-type]
        lambda: stand_alone.get_stats("x", "33", "a", None, NOW),  # type: ignore[arg-type]
        lambda: stand_alone.get_stats("x", "33", "a", AN_HOUR_AGO, None),  # type: ignore[arg-type]
        lambda: stand_alone.get_stats("x", "33", 1, AN_HOUR_AGO, NOW),  # type: ignore[arg-type]
        lambda: stand_alone.get_stats("x", None, None, NOW, AN_HOUR_AGO),
        lambda: stand_alone.get_stats("x", None, "a", AN_HOUR_AGO, NOW),
        lambda: stand_alone.get_kpi("x", None, None),  # type: ignore[arg-type]
        lambda: stand_alone.get_models_by_time(None, None),  # type: ignore[arg-type]
        lambda: stand_alone.get_model_by_id(3),  # type: ignore[arg-type]
        lambda: stand_alone.get_data_distribution_stats(3),  # type: ignore[arg-type]
        lambda: stand_alone.get_events(start_time=3),  # type: ignore[arg-type]
        lambda: stand_alone.set_event(None, EventType.System),  # type: ignore[arg-type]
        lambda: stand_alone.set_event("label"),
        lambda: stand_alone.set_kpi(None, 5.5),  # type: ignore[arg-type]
        lambda: stand_alone.set_kpi("k", ["1"]),
        lambda: stand_alone.set_kpi("k", 5.5, 3, "no-such-unit"),
    ]
    for call in wrong:
        with pytest.raises(MLOpsException):
            call()


def test_standing_alone_there_is_nobody_to_ask(stand_alone: MLOps) -> None:
    assert (stand_alone.mlapp_id, stand_alone.mlapp_name, stand_alone.mlapp_policy) == ("1", "ION_1", None)
    assert stand_alone.nodes == []
    assert stand_alone.get_node("x") is None
    assert stand_alone.current_model() is None
    assert stand_alone.get_last_approved_model() is None
    for call in (
        stand_alone.get_current_node,
        lambda: stand_alone.get_agents("x"),
        lambda: stand_alone.get_stats("x", None, None, AN_HOUR_AGO, NOW),
        lambda: EventBroker(stand_alone).get_events(EventFilter()),
        lambda: EventBroker(stand_alone).get_events("all"),  # type: ignore[arg-type]
    ):
        with pytest.raises(MLOpsException):
            call()


def test_without_pandas_the_message_says_what_to_install(
    stand_alone: MLOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MLOpsException, match=r"needs pandas: pip install 'mcenter-stream\[metrics\]'"):
        stand_alone.get_models_by_time(AN_HOUR_AGO, NOW)


def test_models_published_stand_alone_can_be_had_until_done(stand_alone: MLOps, tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    path.write_text("weights")
    model = stand_alone.Model("m", ModelFormat.TEXT, user_defined={"a": 1})
    model.set_model_path(path)
    model_id = stand_alone.publish_model(model)
    path.unlink()
    found = stand_alone.get_model_by_id(model_id, download=True)
    assert found is not None
    assert found.iloc[0]["data"] == "weights"
    assert found.iloc[0]["annotations"] == {"user_defined": {"a": 1}}
    years = stand_alone.get_models_by_time(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
    assert years is not None
    assert years["id"].tolist() == [model_id]
    past = stand_alone.get_models_by_time(datetime(2000, 1, 1), datetime(2001, 1, 1))  # noqa: DTZ001
    assert past is not None
    assert past.empty


def test_the_accumulator_keeps_the_newest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCENTER_EVENT_TIME", raising=False)
    library = MLOps()
    library.init(mlops_mode=MLOpsMode.REST_ACCUMULATOR)
    library.set_stat("x", 1)
    library.set_stat("x", 2.5)
    assert library.get_stats_map() == {"x": 2.5}
    library.done()
