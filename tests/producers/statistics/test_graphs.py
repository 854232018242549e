"""Graphs, opaque data, pages and KPI values."""

from __future__ import annotations

import ast
import json
import math
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.opaque import Opaque

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_stand_alone_text_of_a_graph_is_as_programs_parse_it() -> None:
    report = Graph().name("g").set_x_series([1, 2, 3]).add_y_series("y", [4, 5, 6]).report()
    assert (report.name, report.graph_type, report.mode) == ("g", "GENERAL_GRAPH", "INSTANT")
    assert report.text == (
        "OrderedDict([('x_title', 'X - Title'), ('y_title', 'Y - Title'), ('x_axis_type', 'Continuous'), "
        "('x_axis_tick_postfix', ''), ('x_series', [1, 2, 3]), ('y_series', [{'label': 'y', 'data': [4, 5, 6]}]), "
        "('x_annotation', []), ('y_annotation', [])])"
    )
    assert json.loads(report.payload) == dict(ast.literal_eval(report.text.removeprefix("OrderedDict")))


def test_a_graph_carries_titles_kind_and_annotations() -> None:
    graph = Graph().name("g").x_title("hour").y_title("late").set_categorical().set_x_series(("a", "b"))
    graph.add_y_series("l1", np.array([1.5, 2.5])).add_y_series(label="l2", data=[0, 1])
    graph.annotate("here", x="a").annotate("limit", y=np.float32(0.5)).annotate("zero", y=0)
    assert json.loads(graph.report().payload) == {
        "x_title": "hour",
        "y_title": "late",
        "x_axis_type": "Categorical",
        "x_axis_tick_postfix": "",
        "x_series": ["a", "b"],
        "y_series": [{"label": "l1", "data": [1.5, 2.5]}, {"label": "l2", "data": [0, 1]}],
        "x_annotation": [{"label": "here", "value": "a"}],
        "y_annotation": [{"label": "limit", "value": 0.5}, {"label": "zero", "value": 0}],
    }


def test_a_multi_graph_is_drawn_over_all_x_in_order() -> None:
    graph = (
        MultiGraph()
        .name("m")
        .add_series(x=[3, 1], y=[30, 10], label="a")
        .add_series([2, -math.inf], [20, math.inf], "b")
    )
    report = graph.report()
    drawn = json.loads(report.payload)
    assert drawn["x_series"] == [-sys.float_info.max, 1, 2, 3]
    assert drawn["y_series"] == [
        {"label": "a", "data": [None, 10, None, 30]},
        {"label": "b", "data": [sys.float_info.max, None, 20, None]},
    ]
    assert dict(ast.literal_eval(report.text.removeprefix("OrderedDict"))) == drawn


def test_a_categorical_multi_graph_shows_x_as_text() -> None:
    graph = MultiGraph().set_categorical().add_series([1, "b"], [1, 2], "s").add_series([0], [5], "t")
    drawn = json.loads(graph.report().payload)
    assert drawn["x_series"] == ["0", "1", "b"]
    assert drawn["y_series"][0]["data"] == [None, 1, 2]
    assert (
        json.loads(graph.set_continuous().set_categorical().report().payload)["x_axis_type"] == "Categorical"
    )


@pytest.mark.parametrize(
    ("data", "payload", "text"),
    [
        ({"a": [1, None, "x"]}, b'{"a": [1, null, "x"]}', "{'o': {'a': [1, None, 'x']}}"),
        ((1, 2.5), b"[1, 2.5]", "{'o': [1, 2.5]}"),
        (np.int64(3), b"3", "{'o': 3}"),
        ({1: True, np.int32(2): 0.0}, b'{"1": true, "2": 0.0}', "{'o': {'1': True, '2': 0.0}}"),
        ("text", b'"text"', "{'o': 'text'}"),
        ([math.nan, math.inf, -math.inf], b'["NaN", "Infinity", "-Infinity"]', "{'o': [nan, inf, -inf]}"),
        (0, b"0", "{'o': 0}"),
        ({}, b"{}", "{'o': {}}"),
    ],
)
def test_opaque_data_travel_as_json(data: Any, payload: bytes, text: str) -> None:
    report = Opaque().name("o").data(data).report()
    assert (report.graph_type, report.content_type, report.payload, report.text) == (
        "OPAQUE",
        "application/json",
        payload,
        text,
    )


def test_opaque_bytes_travel_as_they_are() -> None:
    report = Opaque().name("o").data(bytearray(b"\x80\n")).report()
    assert (report.content_type, report.payload, report.text) == (
        "application/octet-stream",
        b"\x80\n",
        "{'o': b'\\x80\\n'}",
    )


@pytest.mark.parametrize("data", ["<p>\né</p>", "<p>\né</p>".encode()])
def test_a_page_travels_in_utf_8_and_prints_on_one_line(data: str | bytes) -> None:
    report = HTML().name("h").data(data).report()
    assert (report.graph_type, report.content_type, report.payload) == (
        "HTML",
        "text/html",
        "<p>\né</p>".encode(),
    )
    assert report.text == "{'h': '<p>\\né</p>'}"


@pytest.mark.parametrize(
    ("timestamp", "units", "expected_ns"),
    [
        (1_356_998_400, KpiValue.TIME_SEC, 1_356_998_400_000_000_000),
        (1_356_998_400_000, KpiValue.TIME_MSEC, 1_356_998_400_000_000_000),
        (1_356_998_400_000_000_000, KpiValue.TIME_NSEC, 1_356_998_400_000_000_000),
        (1_356_998_400_000_000_000, None, 1_356_998_400_000_000_000),
        ("2013-01-01T00:00:00Z", None, 1_356_998_400_000_000_000),
        (datetime(2013, 1, 1, tzinfo=UTC), None, 1_356_998_400_000_000_000),
        (None, None, None),
    ],
)
def test_a_kpi_value_knows_its_time(timestamp: Any, units: str | None, expected_ns: int | None) -> None:
    kpi = KpiValue("sales", np.float64(2.5), timestamp, units)
    assert kpi.timestamp_ns == expected_ns
    report = kpi.report()
    assert (report.name, report.graph_type, report.mode, report.text) == (
        "sales",
        "LINEGRAPH",
        "TIME_SERIES",
        "{'sales': 2.5}",
    )


class Unknown:
    """Neither JSON nor bytes."""


def nested(depth: int) -> list[Any]:
    data: list[Any] = []
    for _ in range(depth):
        data = [data]
    return data


ring: list[Any] = []
ring.append(ring)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Graph().report(),
        lambda: Graph().set_x_series([1]).report(),
        lambda: Graph().add_y_series("y", [1]),
        lambda: Graph().set_x_series([1, 2]).add_y_series("y", [1]),
        lambda: Graph().set_x_series([1]).set_x_series([1]),
        lambda: Graph().set_x_series(5),
        lambda: Graph().set_x_series([None]),
        lambda: Graph().set_x_series([1]).add_y_series(1, [1]),
        lambda: Graph().set_x_series([1]).add_y_series("y", ["a"]),
        lambda: Graph().annotate("l"),
        lambda: Graph().annotate("l", x=1, y=1),
        lambda: Graph().annotate(1, x=1),
        lambda: Graph().annotate("l", x=[1]),
        lambda: Graph().x_title(None),
        lambda: Graph().y_title(5),
        lambda: MultiGraph().report(),
        lambda: MultiGraph().add_series([], [], "a").report(),
        lambda: MultiGraph().add_series([1, 2], [1], "a"),
        lambda: MultiGraph().add_series([1], ["a"], "a"),
        lambda: MultiGraph().add_series([1], [1], None),
        lambda: MultiGraph().add_series([math.nan], [1], "a").report(),
        lambda: MultiGraph().add_series(["a"], [1], "a").report(),
        lambda: Opaque().report(),
        lambda: Opaque().data(None).report(),
        lambda: Opaque().data(Unknown()),
        lambda: Opaque().data({"a": np.zeros(2)}),
        lambda: Opaque().data({(1, 2): 3}),
        lambda: Opaque().data({1, 2}),
        lambda: Opaque().data(ring),
        lambda: Opaque().data(nested(100_000)),
        lambda: HTML().report(),
        lambda: HTML().data("").report(),
        lambda: HTML().data(5),
        lambda: HTML().data(None),
        lambda: KpiValue("k", "1"),
        lambda: KpiValue(5, 1),
        lambda: KpiValue("k", 1, 5, "hours"),
        lambda: KpiValue("k", 1, None, "hours"),
        lambda: KpiValue("k", 1, "yesterday"),
        lambda: KpiValue("", 1),
    ],
)
def test_what_makes_no_sense_raises_mlops_exception(call: Callable[[], object]) -> None:
    with pytest.raises(MLOpsException):
        call()
