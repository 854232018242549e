"""Equal names would lose one of two reports: they are refused by name."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from parallelm.mlops import mlops
from parallelm.mlops.events.event import Event
from parallelm.mlops.examples.ab_testing_base import ConversionTest, report_test
from parallelm.mlops.metrics_constants import ClassificationMetrics
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.table import Table, table_rows
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable


class Text(str):
    """Equal by its text, but another key of a dict."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


EQUAL: dict[str, tuple[Callable[[], Any], str]] = {
    "lines": (lambda: MultiLineGraph().labels(["a", "b", "a"]).data([1, 2, 3]).report(), "'a'"),
    "rows": (lambda: Table().cols(["c"]).add_row("r", [1]).add_row("r", [2]).report(), "'r'"),
    "columns": (lambda: Table().cols(["c", "c"]).add_row("r", [1, 2]).report(), "'c'"),
    "columns of two types": (lambda: Table().cols([1, "1"]).add_row("r", [1, 2]).report(), "'1'"),
    "bars": (lambda: BarGraph().cols(["a", "a"]).data([1, 2]).report(), "'a'"),
    "y series": (
        lambda: Graph().set_x_series([1]).add_y_series("y", [1]).add_y_series("y", [2]).report(),
        "'y'",
    ),
    "series": (lambda: MultiGraph().add_series([1], [1], "s").add_series([2], [2], "s").report(), "'s'"),
    "categories of a series": (
        lambda: MultiGraph().set_categorical().add_series([1, "1"], [1, 2], "s").report(),
        "'1'",
    ),
    "keys": (lambda: Opaque().data({1: "a", "1": "b"}), "'1'"),
    "keys within": (lambda: Opaque().data([{"x": {True: 1, "True": 2}}]), "'True'"),
    "keys of a cell": (lambda: MultiLineGraph().labels([Text("a"), Text("a")]).data([1, 2]).report(), "'a'"),
    "keys of an event": (lambda: Event("e", data={1.5: 1, "1.5": 2}), "'1.5'"),
    "annotations": (lambda: mlops.Model("m", ModelFormat.TEXT).set_annotations({1: "a", "1": "b"}), "'1'"),
    "labels": (lambda: mlops.set_kpi("k", 1, labels={Text("a"): 1, Text("a"): 2}), "'a'"),
    "features": (
        lambda: mlops.Model("m", ModelFormat.TEXT).feature_importance([1, 2], ["f", "f"]),
        "'f'",
    ),
    "classes": (
        lambda: mlops.set_stat(ClassificationMetrics.F1_SCORE, [0.5, 0.6], labels=[1, "1"]),
        "'1'",
    ),
    "classes of a matrix": (
        lambda: mlops.set_stat(ClassificationMetrics.CONFUSION_MATRIX, np.eye(2), labels=["x", "x"]),
        "'x'",
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_is_given_twice_is_refused_by_name(name: str) -> None:
    make, named = EQUAL[name]
    with capture() as reported, pytest.raises(MLOpsException, match=f"{named} is given twice"):
        make()
    assert not [*reported.samples, *reported.structured, *reported.kpis, *reported.events]


@pytest.mark.parametrize(
    "edges",
    [
        [0, 2, 1],
        [0, 0, 1],
        [2, 1, 0],
        ["0", "10", "9"],
        [0, math.nan, 1],
        [0, math.inf, math.inf],
        ["a", "b", "a"],
    ],
    ids=str,
)
def test_edges_that_do_not_ascend_are_not_a_histogram(edges: list[Any]) -> None:
    with pytest.raises(MLOpsException, match=r"must ascend|given twice"):
        BarGraph().cols(edges).data([1, 2]).as_continuous().report()


@pytest.mark.parametrize(
    "edges",
    [["9", "10", "11"], [-math.inf, 0, math.inf], ["06:00", "12:00", "18:00"], [0, "1", 2.5]],
    ids=str,
)
def test_edges_as_programs_give_them_are_a_histogram(edges: list[Any]) -> None:
    bars = json.loads(BarGraph().name("b").cols(edges).data([1, 2]).as_continuous().report().payload)["b"]
    assert bars == [{f"{edges[0]} to {edges[1]}": 1}, {f"{edges[1]} to {edges[2]}": 2}]


def test_rows_without_a_name_may_be_many() -> None:
    report = Table().cols(["c"]).add_rows([[1], [2]]).add_row("r", [3]).report()
    assert table_rows(report.payload) == [("", ["c"], [1]), ("", ["c"], [2]), ("r", ["c"], [3])]


def test_points_of_a_curve_may_stand_above_each_other() -> None:
    # A ROC curve rises vertically; of equal numbers x the first point is drawn, as it always was.
    found = json.loads(MultiGraph().add_series([0, 0, 1], [0.0, 0.5, 1.0], "roc").report().payload)
    assert (found["x_series"], found["y_series"][0]["data"]) == ([0, 1], [0.0, 1.0])


def test_two_agents_of_one_node_are_two_rows_of_an_ab_test() -> None:
    with capture() as reported:
        report_test(ConversionTest(100, 10, 100, 20), 95, 0, ("node", "node"))
    (table,) = [each for each in reported.structured if each.name == "AB Stats"]
    assert [name for name, _, _ in table_rows(table.data)] == ["node (A)", "node (B)"]
