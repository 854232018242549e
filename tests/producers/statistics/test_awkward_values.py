"""Statistic objects and events, given any value anywhere: a report comes out, or ``MLOpsException``."""

from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops._metrics.objects import metric_object
from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.data_alert import DataAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models._feature_importance import importance_graph
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from tests.producers.statistics.awkward_values import awkward_values

if TYPE_CHECKING:
    from collections.abc import Callable


CALLS: dict[str, Callable[[Any], object]] = {
    "DataAlert": lambda x: DataAlert("e", x, x),
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
    "KpiValue name": lambda x: KpiValue(x, 1),
    "KpiValue value": lambda x: KpiValue("k", x),
    "KpiValue timestamp": lambda x: KpiValue("k", 1, x, KpiValue.TIME_MSEC),
    "KpiValue units": lambda x: KpiValue("k", 1, 1, x),
    "Event": lambda x: Event(x, x, x),
    "Event type": lambda x: Event("e", None, None, x),
    "Event data": lambda x: Event("e", None, {"a": [x]}),
    "Event is_alert": lambda x: Event("e", is_alert=x),
    "Event timestamp": lambda x: Event("e", timestamp=x),
    "importances": lambda x: importance_graph(x, ["a", "b"], None, None, 8).report(),
    "importances names": lambda x: importance_graph([1, 2], x, None, None, 8).report(),
    "importances model": lambda x: importance_graph(None, ["a", "b"], x, None, 8).report(),
    "importances coef_": lambda x: importance_graph(None, ["a", "b"], SimpleNamespace(coef_=x), None, 8),
    "importances df": lambda x: importance_graph([1, 2], None, None, x, 8).report(),
    "importances count": lambda x: importance_graph([1, 2], ["a", "b"], None, None, x).report(),
}
for _member in [*ClassificationMetrics, *RegressionMetrics, *ClusteringMetrics]:
    CALLS[_member.name] = partial(metric_object, _member)
    CALLS[f"{_member.name} labels"] = lambda x, member=_member: metric_object(  # type: ignore[misc]
        member, [[1, 2], [3, 4]], labels=x, true_labels=x, pred_labels=x, legend=x
    )


@pytest.mark.parametrize("call", CALLS)
def test_only_the_library_s_own_exception_comes_out(call: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for index, value in enumerate(awkward_values()):
        try:
            CALLS[call](value)
        except MLOpsException as error:
            str(error).encode()
        except Exception as error:  # noqa: BLE001 - the failure names the value, whose repr may raise
            pytest.fail(f"value {index}, a {type(value)}: {type(error).__name__}")
