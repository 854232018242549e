"""Every public call, given any value anywhere: what comes out is the report, or ``MLOpsException``."""

from __future__ import annotations

import datetime
import logging
import pickle
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import StatCategory, Versions, mlops
from parallelm.mlops.common.string_ops import mask_passwords
from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.data_alert import DataAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_broker import EventBroker
from parallelm.mlops.events.event_filter import EventFilter
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.examples.ab_testing_base import ab_test
from parallelm.mlops.examples.canary_comparator_base import canary_comparator
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException, SuppressException
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.mlops.models.model import ModelFormat, ModelMetadata
from parallelm.mlops.packer import DirectoryPack
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.testing import capture
from tests.producers.statistics.awkward_values import awkward_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.mlops.testing import Captured

METRICS = [*ClassificationMetrics, *RegressionMetrics, *ClusteringMetrics]
T0 = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def _model() -> Any:
    return mlops.Model("m", ModelFormat.TEXT)


def _with(event: Event, **attributes: Any) -> Event:
    for name, value in attributes.items():
        setattr(event, name, value)
    return event


CALLS: dict[str, Callable[[Any], object]] = {
    "set_stat name": lambda x: mlops.set_stat(x, 1),
    "set_stat data": lambda x: mlops.set_stat("n", x),
    "set_stat both": lambda x: mlops.set_stat(x, x),
    "set_stat category": lambda x: mlops.set_stat("n", 1, x),
    "set_stat timestamp": lambda x: mlops.set_stat("n", 1, timestamp=x),
    "set_stat units": lambda x: mlops.set_stat("n", 1, timestamp=1, units=x),
    "set_stat unknown": lambda x: mlops.set_stat("n", 1, StatCategory.CONFIG, other=x),
    "series": lambda x: mlops.series("n", model_id=x),
    "series name": lambda x: mlops.series(x),
    "series label": lambda x: mlops.series("n", label=x),
    "series set": lambda x: mlops.series("n").set(x),
    "set_kpi name": lambda x: mlops.set_kpi(x, 1),
    "set_kpi data": lambda x: mlops.set_kpi("k", x),
    "set_kpi timestamp": lambda x: mlops.set_kpi("k", 1, x),
    "set_kpi timestamp of units": lambda x: mlops.set_kpi("k", 1, x, KpiValue.TIME_SEC),
    "set_kpi units": lambda x: mlops.set_kpi("k", 1, 1, x),
    "set_kpi labels": lambda x: mlops.set_kpi("k", 1, labels=x),
    "set_kpi label": lambda x: mlops.set_kpi("k", 1, labels={"a": x}),
    "event_time": lambda x: mlops.event_time(x).__enter__(),
    "event": lambda x: mlops.event(x),
    "set_event name": lambda x: mlops.set_event(x, EventType.Data),
    "set_event no type": lambda x: mlops.set_event(x),
    "set_event type": lambda x: mlops.set_event("e", x),
    "set_event data": lambda x: mlops.set_event("e", EventType.Data, x),
    "set_event data within": lambda x: mlops.set_event("e", EventType.Data, {"a": [x]}),
    "set_event is_alert": lambda x: mlops.set_event("e", EventType.Data, is_alert=x),
    "set_event timestamp": lambda x: mlops.set_event("e", EventType.Data, timestamp=x),
    "Event attributes": lambda x: mlops.event(
        _with(Event("e"), type=x, data=x, is_alert=x, timestamp=x, label=x)
    ),
    "Event model_id": lambda x: mlops.event(_with(Event("e"), model_id=x)),
    "Event is_alert": lambda x: mlops.event(_with(Event("e"), is_alert=x)),
    "Event description": lambda x: mlops.event(Event("e", x)),
    "DataAlert": lambda x: DataAlert("e", x, x),
    "data_alert title": lambda x: mlops.data_alert(x, "d"),
    "health_alert desc": lambda x: mlops.health_alert("t", x),
    "system_alert data": lambda x: mlops.system_alert("t", "d", x),
    "canary_alert title": lambda x: mlops.canary_alert(x, True, 0.5, 0.5),
    "canary_alert is_healthy": lambda x: mlops.canary_alert("t", x, 0.5, 0.5),
    "canary_alert score": lambda x: mlops.canary_alert("t", False, x, 0.5),
    "canary_alert threshold": lambda x: CanaryAlert("t", False, 0.5, x),
    "SingleValue": lambda x: SingleValue().name("s").value(x).report(),
    "SingleValue name": lambda x: SingleValue().name(x),
    "SingleValue mode": lambda x: SingleValue().mode(x),
    "MultiLineGraph labels": lambda x: MultiLineGraph().labels(x).data([1, 2]).report(),
    "MultiLineGraph label": lambda x: MultiLineGraph().labels([x]).data([1]).report(),
    "MultiLineGraph data": lambda x: MultiLineGraph().labels(["a", "b"]).data(x).report(),
    "MultiLineGraph number": lambda x: MultiLineGraph().labels(["a"]).data([x]).report(),
    "Table cols": lambda x: Table().cols(x).add_row("r", [1]).report(),
    "Table column": lambda x: Table().cols([x]).add_row("r", [1]).report(),
    "Table row name": lambda x: Table().cols(["a"]).add_row(x, [1]).report(),
    "Table row": lambda x: Table().cols(["a", "b"]).add_row(x).report(),
    "Table cells": lambda x: Table().cols(["a", "b"]).add_row("r", x).report(),
    "Table cell": lambda x: Table().cols(["a"]).add_row("r", [x]).report(),
    "Table rows": lambda x: Table().cols(["a", "b"]).add_rows(x).report(),
    "BarGraph cols": lambda x: BarGraph().cols(x).data([1, 2]).report(),
    "BarGraph column": lambda x: BarGraph().cols([x]).data([1]).report(),
    "BarGraph edges": lambda x: BarGraph().cols(x).data([1]).as_continuous().report(),
    "BarGraph edge": lambda x: BarGraph().cols([0, x]).data([1]).as_continuous().report(),
    "BarGraph data": lambda x: BarGraph().cols(["a", "b"]).data(x).report(),
    "Graph x": lambda x: Graph().set_x_series(x),
    "Graph x element": lambda x: Graph().set_x_series([x]),
    "Graph y": lambda x: Graph().set_x_series([1, 2]).add_y_series("y", x).report(),
    "Graph y label": lambda x: Graph().set_x_series([1]).add_y_series(x, [1]).report(),
    "Graph y wrong": lambda x: Graph().set_x_series([1]).add_y_series(x, [1, 2]).report(),
    "Graph titles": lambda x: Graph().x_title(x).y_title(x),
    "Graph annotate": lambda x: Graph().annotate(x, x=1),
    "Graph annotate x": lambda x: Graph().annotate("a", x=x),
    "Graph annotate y": lambda x: Graph().annotate("a", y=x),
    "MultiGraph x": lambda x: MultiGraph().add_series(x, [1, 2], "l").report(),
    "MultiGraph x element": lambda x: MultiGraph().set_categorical().add_series([x], [1], "l").report(),
    "MultiGraph place": lambda x: MultiGraph().add_series([x], [1], "l").report(),
    "MultiGraph y": lambda x: MultiGraph().add_series([1, 2], x, "l").report(),
    "MultiGraph label": lambda x: MultiGraph().add_series([1], [1, 2], x).report(),
    "Opaque": lambda x: mlops.set_stat(Opaque().data(x)),
    "HTML": lambda x: mlops.set_stat("n", HTML().data(x)),
    "KpiValue name": lambda x: KpiValue(x, 1),
    "KpiValue value": lambda x: KpiValue("k", x),
    "KpiValue timestamp": lambda x: KpiValue("k", 1, x, KpiValue.TIME_MSEC),
    "KpiValue units": lambda x: KpiValue("k", 1, 1, x),
    "set_data_distribution_stat": lambda x: mlops.set_data_distribution_stat(x),
    "set_data_distribution_stat model": lambda x: mlops.set_data_distribution_stat(x, x, x),
    "Model name": lambda x: mlops.Model(x, ModelFormat.TEXT),
    "Model format": lambda x: mlops.Model("m", x),
    "Model description": lambda x: mlops.Model("m", ModelFormat.TEXT, x),
    "Model user_defined": lambda x: mlops.Model("m", ModelFormat.TEXT, "", x),
    "Model set_annotations": lambda x: _model().set_annotations(x),
    "Model annotation": lambda x: _model().set_annotations({"a": x}),
    "Model set_model_path": lambda x: _model().set_model_path(x),
    "Model ==": lambda x: _model() == x,
    "Model set_stat": lambda x: _model().set_stat(x, x),
    "Model set_kpi": lambda x: _model().set_kpi(x, x, x),
    "Model feature_importance": lambda x: _model().feature_importance(x, ["a", "b"]),
    "Model feature_importance names": lambda x: _model().feature_importance([1, 2], x),
    "Model feature_importance model": lambda x: _model().feature_importance(None, ["a", "b"], x),
    "Model feature_importance coef_": lambda x: _model().feature_importance(
        None, ["a", "b"], SimpleNamespace(coef_=x)
    ),
    "Model feature_importance df": lambda x: _model().feature_importance([1, 2], df=x),
    "Model feature_importance count": lambda x: _model().feature_importance(
        [1, 2], ["a", "b"], num_significant_features=x
    ),
    "ModelMetadata": lambda x: ModelMetadata(x, x, x),
    "ModelMetadata format": lambda x: ModelMetadata("i", "n", x),
    "ModelFormat.from_str": lambda x: ModelFormat.from_str(x),
    "publish_model": lambda x: mlops.publish_model(x),
    "get_stats name": lambda x: mlops.get_stats(x, None, None, T0, T0),
    "get_stats": lambda x: mlops.get_stats("n", x, x, T0, T0, x),
    "get_stats agent": lambda x: mlops.get_stats("n", "node", x, T0, T0),
    "get_stats times": lambda x: mlops.get_stats("n", None, None, x, T0),
    "get_kpi": lambda x: mlops.get_kpi(x, T0, x),
    "get_events type": lambda x: mlops.get_events(x),
    "get_events": lambda x: mlops.get_events(None, x, x, None, x, x),
    "EventBroker": lambda x: EventBroker(mlops).get_events(x),
    "EventBroker send": lambda x: EventBroker(mlops).send_event(x),
    "EventFilter": lambda x: EventBroker(mlops).get_events(EventFilter(type=x, is_alert=x)),
    "get_models_by_time": lambda x: mlops.get_models_by_time(x, T0),
    "get_models_by_time pipeline": lambda x: mlops.get_models_by_time(T0, T0, x, x),
    "get_model_by_id": lambda x: mlops.get_model_by_id(x, x),
    "get_data_distribution_stats": lambda x: mlops.get_data_distribution_stats(x),
    "get_node": lambda x: mlops.get_node(x),
    "get_agents": lambda x: mlops.get_agents(x),
    "get_agent": lambda x: mlops.get_agent(x, x),
    "init version": lambda x: mlops.init(version=x),
    "init mode": lambda x: mlops.init(mlops_mode=x),
    "init connect": lambda x: mlops.init(connect_mlops=x),
    "attach": lambda x: mlops.attach(x),
    "set_uuid": lambda x: mlops.set_uuid(x).get_uuid(),
    "suppress_connection_errors": lambda x: mlops.suppress_connection_errors(x),
    "set_suppress": lambda x: SuppressException.set_suppress(x),
    "_set_test_mode": lambda x: mlops._set_test_mode(x),
    "MLOpsMode.from_str": lambda x: MLOpsMode.from_str(x),
    "Versions.check": lambda x: Versions.check(x),
    "mask_passwords": lambda x: mask_passwords(x),
    "mask_passwords within": lambda x: mask_passwords({"a": [x], "password": x}),
    "DirectoryPack": lambda x: DirectoryPack(x),
    "pack": lambda x: DirectoryPack().pack(x),
    "load_time_capture": lambda x: mlops.load_time_capture(x),
    "canary_comparator mode": lambda x: canary_comparator(SimpleNamespace(nodeA="a", nodeB="b"), T0, T0, x),
    "canary_comparator options": lambda x: canary_comparator(x, T0, T0),
    "canary_comparator nodeA": lambda x: canary_comparator(SimpleNamespace(nodeA=x, nodeB=x), T0, T0),
    "ab_test confidence": lambda x: ab_test(SimpleNamespace(nodeA="a", nodeB="b", confidence=x), T0, T0),
    "ab_test": lambda x: ab_test(x, x, x),
}
for _member in METRICS:
    CALLS[f"set_stat {_member.name}"] = lambda x, member=_member: mlops.set_stat(member, x)  # type: ignore[misc]
    CALLS[f"set_stat {_member.name} labels"] = lambda x, member=_member: mlops.set_stat(  # type: ignore[misc]
        member, [[1, 2], [3, 4]], labels=x, true_labels=x, pred_labels=x, legend=x
    )


@pytest.fixture
def reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    monkeypatch.chdir(tmp_path)
    with capture() as captured:
        yield captured
    SuppressException.set_suppress(False)


@pytest.mark.parametrize("call", CALLS)
def test_only_the_library_s_own_exception_comes_out(
    call: str, reported: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    for index, value in enumerate(awkward_values()):
        try:
            CALLS[call](value)
        except MLOpsException as error:
            str(error).encode()
            assert len(str(error)) < 2000, "a message is short enough to be read"
        except Exception as error:  # noqa: BLE001 - the failure names the value, whose repr may raise
            pytest.fail(f"value {index}, a {type(value)}: {type(error).__name__}")
    pickle.dumps(reported)  # nothing of the caller's is left inside what is reported


def test_a_call_that_is_refused_leaves_the_library_open(reported: Captured) -> None:
    for value in awkward_values():
        with suppress(MLOpsException):
            mlops.set_stat("n", value)
    mlops.set_stat("after", 1)
    assert reported.values("after") == [1.0]
