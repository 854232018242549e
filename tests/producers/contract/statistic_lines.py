"""Lines of the contract: ``set_stat``, and every setter of every statistic object."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

import numpy as np

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatCategory, StatsMode
from tests.producers.contract.line import REFUSED, Line, moment, moment_s, scalar


def number(value: Any, shown: Any) -> Line:
    """A number that ``set_stat`` takes."""
    return Line(lambda: mlops.set_stat("x", value), scalar("x", shown))


def refused(value: Any) -> Line:
    """Values that are not numbers."""
    return Line(lambda: mlops.set_stat("x", value), answers=REFUSED)


def graph_text(
    name: str,
    x_series: list[Any],
    *y_series: tuple[str, list[Any]],
    titles: tuple[str, str] = ("X - Title", "Y - Title"),
    axis: str = "Continuous",
    marks: tuple[list[Any], list[Any]] = ([], []),
) -> str:
    """What stand-alone prints of a graph."""
    members = [
        ("x_title", titles[0]),
        ("y_title", titles[1]),
        ("x_axis_type", axis),
        ("x_axis_tick_postfix", ""),
        ("x_series", x_series),
        ("y_series", [{"label": label, "data": data} for label, data in y_series]),
        ("x_annotation", marks[0]),
        ("y_annotation", marks[1]),
    ]
    return f"{name}, GENERAL_GRAPH, INSTANT, OrderedDict({members!r})"


def a_graph() -> Graph:
    """A graph that lacks nothing."""
    return Graph().name("g").set_x_series([1, 2]).add_y_series("y", [3, 4.5])


def a_multi_graph() -> MultiGraph:
    """As ``a_graph``."""
    return MultiGraph().name("mg").add_series(x=[2, 1], y=[3, 4.5], label="a")


TOTALS: Final = {"samples": 1000, "conversions of A": 200, "conversions of B": 260}
Y: Final = ("y", [3, 4.5])
A: Final = ("a", [4.5, 3])

STATISTICS: Final = {
    "MLOps.set_stat of a float": number(2.5, 2.5),
    "MLOps.set_stat of an int": number(3, 3),
    "MLOps.set_stat of an int beyond 2**53": number(2**53 + 1, 2**53 + 1),
    "MLOps.set_stat of a bool": number(True, True),
    "MLOps.set_stat of a float64": number(np.float64(0.1), 0.1),
    "MLOps.set_stat of a float32": number(np.float32(0.1), float(np.float32(0.1))),
    "MLOps.set_stat of an int64": number(np.int64(-7), -7),
    "MLOps.set_stat of a uint8": number(np.uint8(255), 255),
    "MLOps.set_stat of a numpy bool": number(np.bool_(False), False),
    "MLOps.set_stat of an array without dimensions": number(np.array(1.5), 1.5),
    "MLOps.set_stat of NaN": number(math.nan, math.nan),
    "MLOps.set_stat of an infinity": number(math.inf, math.inf),
    "MLOps.set_stat of the other infinity": number(-math.inf, -math.inf),
    "MLOps.set_stat of the largest float": number(1.7976931348623157e308, 1.7976931348623157e308),
    "MLOps.set_stat of a text": refused("1"),
    "MLOps.set_stat of None": refused(None),
    "MLOps.set_stat of a complex": refused(1j),
    "MLOps.set_stat of a dict": refused({"a": 1}),
    "MLOps.set_stat of a list": refused([1]),
    "MLOps.set_stat of a Decimal": refused(Decimal(1)),
    "MLOps.set_stat of a name that is none": Line(lambda: mlops.set_stat(3, 1), answers=REFUSED),
    "MLOps.set_stat of a name in any script": Line(
        lambda: mlops.set_stat("größe 数", 1.0), scalar("größe 数", 1.0)
    ),
    "MLOps.set_stat of an object as the name": Line(
        lambda: mlops.set_stat(SingleValue().name("a").value(1)), scalar("a", 1)
    ),
    "MLOps.set_stat of an object as the data": Line(
        lambda: mlops.set_stat("b", SingleValue().name("a").value(1)), scalar("a", 1)
    ),
    "MLOps.set_stat of totals": Line(
        lambda: [mlops.set_stat(name, total) for name, total in TOTALS.items()],
        tuple(scalar(name, total) for name, total in TOTALS.items()),
        answers=[None] * 3,
    ),
    "MLOps.set_stat with a datetime": Line(
        lambda: mlops.set_stat("x", 1.5, timestamp=moment(2)), f"+2 s {scalar('x', 1.5)}"
    ),
    "MLOps.set_stat with nanoseconds": Line(
        lambda: mlops.set_stat("x", 1.5, timestamp=(moment_s() + 2) * 10**9), f"+2 s {scalar('x', 1.5)}"
    ),
    "MLOps.set_stat with a time of units": Line(
        lambda: mlops.set_stat("x", 1.5, timestamp=moment_s() + 2, units="second"),
        f"+2 s {scalar('x', 1.5)}",
    ),
    "MLOps.set_stat with a time that is none": Line(
        lambda: mlops.set_stat("x", 1.5, timestamp="soon"), answers=REFUSED
    ),
    "MLOps.set_stat with an argument it has not": Line(
        lambda: mlops.set_stat("x", 1.5, lables=["a"]), answers=REFUSED
    ),
    "MLOps.event_time": Line(
        lambda: _in_event_time(lambda: mlops.set_stat("x", 1.5)), f"+3 s {scalar('x', 1.5)}"
    ),
    "MLOps.series": Line(lambda: mlops.series("x").set(0.25), scalar("x", 0.25)),
    "MLOps.series of labels": Line(
        lambda: [mlops.series("x", fold=fold).set(1) for fold in "ab"],
        (scalar("x", 1), scalar("x", 1)),
        answers=[None, None],
    ),
    "stats_category.StatCategory.TIME_SERIES": Line(
        lambda: mlops.set_stat("x", 1, StatCategory.TIME_SERIES), scalar("x", 1)
    ),
    "stats_category.StatCategory.CONFIG": Line(
        lambda: mlops.set_stat("x", 0.1, StatCategory.CONFIG), scalar("x", 0.1, "INSTANT")
    ),
    "stats_category.StatCategory.GENERAL": Line(
        lambda: mlops.set_stat("x", 1, StatCategory.GENERAL), answers=REFUSED
    ),
    "stats_category.StatCategory.INPUT": Line(
        lambda: mlops.set_stat("x", 1, StatCategory.INPUT), answers=REFUSED
    ),
    "predefined_stats.PredefinedStats.PREDICTIONS_COUNT": Line(
        lambda: mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, 7), scalar("pipelinestat.count", 7)
    ),
    "predefined_stats.PredefinedStats.WORKER_STATS": Line(
        lambda: mlops.set_stat(PredefinedStats.WORKER_STATS, 2), scalar("workers", 2)
    ),
    "predefined_stats.PredefinedStats.PREDICTION_HISTOGRAM": Line(
        lambda: mlops.set_stat(
            BarGraph()
            .name(PredefinedStats.PREDICTION_HISTOGRAM)
            .cols([0, 0.5, 1])
            .data([1, 9])
            .as_continuous()
        ),
        "PredictionHistogram, BARGRAPH, INSTANT, {'PredictionHistogram': [{'0 to 0.5': 1}, {'0.5 to 1': 9}]}",
    ),
    # ---- SingleValue ------------------------------------------------------------------------------------------------
    "stats.single_value.SingleValue": Line(lambda: mlops.set_stat(SingleValue().name("x")), answers=REFUSED),
    "stats.single_value.SingleValue.name": Line(
        lambda: mlops.set_stat(SingleValue().name("é b").value(1.5)), scalar("é b", 1.5)
    ),
    "stats.single_value.SingleValue.value": Line(
        lambda: mlops.set_stat(SingleValue().name("x").value(np.float64(2.5))), scalar("x", 2.5)
    ),
    "stats.single_value.SingleValue.value of a text": Line(lambda: SingleValue().value("1"), answers=REFUSED),
    "stats.single_value.SingleValue.mode": Line(
        lambda: mlops.set_stat(SingleValue().name("x").value(7).mode(StatsMode.Instant)),
        scalar("x", 7, "INSTANT"),
    ),
    "stats_category.StatsMode.Instant": Line(
        lambda: mlops.set_stat(SingleValue().name("x").value(1).mode(StatsMode.Instant)),
        scalar("x", 1, "INSTANT"),
    ),
    "stats_category.StatsMode.TimeSeries": Line(
        lambda: mlops.set_stat(SingleValue().name("x").value(1).mode(StatsMode.TimeSeries)), scalar("x", 1)
    ),
    # ---- MultiLineGraph ---------------------------------------------------------------------------------------------
    "stats.multi_line_graph.MultiLineGraph": Line(
        lambda: mlops.set_stat(MultiLineGraph().name("lines")), answers=REFUSED
    ),
    "stats.multi_line_graph.MultiLineGraph.name": Line(
        lambda: mlops.set_stat(MultiLineGraph().name("loss").labels(["a"]).data([1])),
        "loss, MULTILINEGRAPH, TIME_SERIES, {'a': 1}",
    ),
    "stats.multi_line_graph.MultiLineGraph.labels": Line(
        lambda: mlops.set_stat(MultiLineGraph().name("lines").labels(["z", "é b"]).data([1, 2])),
        "lines, MULTILINEGRAPH, TIME_SERIES, {'z': 1, 'é b': 2}",
    ),
    "stats.multi_line_graph.MultiLineGraph.labels too few": Line(
        lambda: mlops.set_stat(MultiLineGraph().name("lines").labels(["a"]).data([1, 2])), answers=REFUSED
    ),
    "stats.multi_line_graph.MultiLineGraph.data": Line(
        lambda: mlops.set_stat(
            MultiLineGraph().name("lines").labels(["a", "b", "c"]).data([0.1, math.nan, -math.inf])
        ),
        "lines, MULTILINEGRAPH, TIME_SERIES, {'a': 0.1, 'b': nan, 'c': -inf}",
    ),
    # ---- Table ------------------------------------------------------------------------------------------------------
    "stats.table.Table": Line(lambda: mlops.set_stat(Table().name("t").cols(["a"])), answers=REFUSED),
    "stats.table.Table.name": Line(
        lambda: mlops.set_stat(Table().name("a table").cols(["a"]).add_row("r", [1])),
        'a table, MATRIX, INSTANT, {"r":{"a":1}}',
    ),
    "stats.table.Table.cols": Line(
        lambda: mlops.set_stat(Table().name("t").cols(["b", "a"]).add_row("r", [1, 2])),
        't, MATRIX, INSTANT, {"r":{"b":1, "a":2}}',
    ),
    "stats.table.Table.columns_names": Line(
        lambda: mlops.set_stat(Table().name("t").columns_names(["b", "a"]).add_row("r", [1, 2])),
        't, MATRIX, INSTANT, {"r":{"b":1, "a":2}}',
    ),
    "stats.table.Table.add_row": Line(
        lambda: mlops.set_stat(
            Table().name("t").cols(["a", "b"]).add_row("r2", [1, "x"]).add_row("r1", [math.nan, None])
        ),
        't, MATRIX, INSTANT, {"r2":{"a":1, "b":"x"}, "r1":{"a":"NaN", "b":null}}',
    ),
    "stats.table.Table.add_row without a name": Line(
        lambda: mlops.set_stat(Table().name("t").cols(["a"]).add_row([1]).add_row([2])),
        't, MATRIX, INSTANT, {"":{"a":1}, "":{"a":2}}',
    ),
    "stats.table.Table.add_row of another length": Line(
        lambda: Table().name("t").cols(["a"]).add_row([1]).add_row([1, 2]), answers=REFUSED
    ),
    "stats.table.Table.add_rows": Line(
        lambda: mlops.set_stat(Table().name("t").cols(["a", "b"]).add_rows([[1, 2], [3, 4]])),
        't, MATRIX, INSTANT, {"":{"a":1, "b":2}, "":{"a":3, "b":4}}',
    ),
    # ---- BarGraph ---------------------------------------------------------------------------------------------------
    "stats.bar_graph.BarGraph": Line(lambda: mlops.set_stat(BarGraph().name("bars")), answers=REFUSED),
    "stats.bar_graph.BarGraph.name": Line(
        lambda: mlops.set_stat(BarGraph().name("some bars").cols(["a"]).data([1])),
        "some bars, BARGRAPH, INSTANT, {'some bars': [{'a': 1}]}",
    ),
    "stats.bar_graph.BarGraph.cols": Line(
        lambda: mlops.set_stat(BarGraph().name("bars").cols(["b", "a"]).data([1, 2])),
        "bars, BARGRAPH, INSTANT, {'bars': [{'b': 1}, {'a': 2}]}",
    ),
    "stats.bar_graph.BarGraph.columns_names": Line(
        lambda: mlops.set_stat(BarGraph().name("bars").columns_names(["b", "a"]).data([1, 2])),
        "bars, BARGRAPH, INSTANT, {'bars': [{'b': 1}, {'a': 2}]}",
    ),
    "stats.bar_graph.BarGraph.data": Line(
        lambda: mlops.set_stat(BarGraph().name("bars").cols(["a", "b"]).data(np.array([0.1, 2.5]))),
        "bars, BARGRAPH, INSTANT, {'bars': [{'a': 0.1}, {'b': 2.5}]}",
    ),
    "stats.bar_graph.BarGraph.as_continuous": Line(
        lambda: mlops.set_stat(BarGraph().name("canary bars").cols([0, 0.5, 1]).data([5, 5]).as_continuous()),
        "canary bars, BARGRAPH, INSTANT, {'canary bars': [{'0 to 0.5': 5}, {'0.5 to 1': 5}]}",
    ),
    "stats.bar_graph.BarGraph.as_continuous with an open end": Line(
        lambda: mlops.set_stat(
            BarGraph().name("bars").cols([-math.inf, 0, 1.5]).data([5, 6]).as_continuous()
        ),
        "bars, BARGRAPH, INSTANT, {'bars': [{'-inf to 0': 5}, {'0 to 1.5': 6}]}",
    ),
    # ---- Graph ------------------------------------------------------------------------------------------------------
    "stats.graph.Graph": Line(lambda: mlops.set_stat(Graph().name("g")), answers=REFUSED),
    "stats.graph.Graph.name": Line(
        lambda: mlops.set_stat(a_graph().name("a graph")), graph_text("a graph", [1, 2], Y)
    ),
    "stats.graph.Graph.x_title": Line(
        lambda: mlops.set_stat(a_graph().x_title("x")),
        graph_text("g", [1, 2], Y, titles=("x", "Y - Title")),
    ),
    "stats.graph.Graph.y_title": Line(
        lambda: mlops.set_stat(a_graph().y_title("y")),
        graph_text("g", [1, 2], Y, titles=("X - Title", "y")),
    ),
    "stats.graph.Graph.set_categorical": Line(
        lambda: mlops.set_stat(a_graph().set_categorical()),
        graph_text("g", [1, 2], Y, axis="Categorical"),
    ),
    "stats.graph.Graph.set_continuous": Line(
        lambda: mlops.set_stat(a_graph().set_categorical().set_continuous()), graph_text("g", [1, 2], Y)
    ),
    "stats.graph.Graph.set_x_series": Line(
        lambda: mlops.set_stat(Graph().name("g").set_x_series(["p", "q"]).add_y_series("y", [3, 4.5])),
        graph_text("g", ["p", "q"], Y),
    ),
    "stats.graph.Graph.set_x_series again": Line(lambda: a_graph().set_x_series([1]), answers=REFUSED),
    "stats.graph.Graph.add_y_series": Line(
        lambda: mlops.set_stat(a_graph().add_y_series(label="z", data=[math.nan, math.inf])),
        graph_text("g", [1, 2], Y, ("z", [math.nan, math.inf])),
    ),
    "stats.graph.Graph.annotate": Line(
        lambda: mlops.set_stat(a_graph().annotate("here", x=1).annotate("there", y=3.5)),
        graph_text(
            "g",
            [1, 2],
            Y,
            marks=([{"label": "here", "value": 1}], [{"label": "there", "value": 3.5}]),
        ),
    ),
    "stats.graph.Graph.annotate of both axes": Line(
        lambda: a_graph().annotate("here", 1, 2), answers=REFUSED
    ),
    # ---- MultiGraph -------------------------------------------------------------------------------------------------
    "stats.graph.MultiGraph": Line(lambda: mlops.set_stat(MultiGraph().name("mg")), answers=REFUSED),
    "stats.graph.MultiGraph.name": Line(lambda: mlops.set_stat(a_multi_graph()), graph_text("mg", [1, 2], A)),
    "stats.graph.MultiGraph.x_title": Line(
        lambda: mlops.set_stat(a_multi_graph().x_title("x")),
        graph_text("mg", [1, 2], A, titles=("x", "Y - Title")),
    ),
    "stats.graph.MultiGraph.y_title": Line(
        lambda: mlops.set_stat(a_multi_graph().y_title("y")),
        graph_text("mg", [1, 2], A, titles=("X - Title", "y")),
    ),
    "stats.graph.MultiGraph.set_categorical": Line(
        lambda: mlops.set_stat(a_multi_graph().set_categorical()),
        graph_text("mg", ["1", "2"], A, axis="Categorical"),
    ),
    "stats.graph.MultiGraph.set_continuous": Line(
        lambda: mlops.set_stat(a_multi_graph().set_categorical().set_continuous()),
        graph_text("mg", [1, 2], A),
    ),
    "stats.graph.MultiGraph.add_series": Line(
        lambda: mlops.set_stat(a_multi_graph().add_series([3, 1], [math.inf, 0], "b")),
        graph_text("mg", [1, 2, 3], ("a", [4.5, 3, None]), ("b", [0, None, 1.7976931348623157e308])),
    ),
    "stats.graph.MultiGraph.annotate": Line(
        lambda: mlops.set_stat(a_multi_graph().annotate("here", y=1)),
        graph_text("mg", [1, 2], A, marks=([], [{"label": "here", "value": 1}])),
    ),
    # ---- Opaque, HTML, KpiValue ---------------------------------------------------------------------------------------
    "stats.opaque.Opaque": Line(lambda: mlops.set_stat(Opaque().name("o")), answers=REFUSED),
    "stats.opaque.Opaque.name": Line(
        lambda: mlops.set_stat(Opaque().name("some data").data("text")),
        "some data, OPAQUE, INSTANT, {'some data': 'text'}",
    ),
    "stats.opaque.Opaque.data": Line(
        lambda: mlops.set_stat(Opaque().name("o").data({"a": [1, None, {"b": 2.5}]})),
        "o, OPAQUE, INSTANT, {'o': {'a': [1, None, {'b': 2.5}]}}",
    ),
    "stats.opaque.Opaque.data of bytes": Line(
        lambda: mlops.set_stat(Opaque().name("o").data(b"\x00\xff")),
        r"o, OPAQUE, INSTANT, {'o': b'\x00\xff'}",
    ),
    "stats.opaque.Opaque.data of an object": Line(lambda: Opaque().data(object()), answers=REFUSED),
    "stats.html.HTML": Line(lambda: mlops.set_stat(HTML().name("page")), answers=REFUSED),
    "stats.html.HTML.name": Line(
        lambda: mlops.set_stat(HTML().name("a page").data("<b>")), "a page, HTML, INSTANT, {'a page': '<b>'}"
    ),
    "stats.html.HTML.data": Line(
        lambda: mlops.set_stat(HTML().name("page").data("<p>\né</p>")),
        r"page, HTML, INSTANT, {'page': '<p>\né</p>'}",
    ),
    "stats.html.HTML.data of bytes": Line(
        lambda: mlops.set_stat(HTML().name("page").data(b"<p>")), "page, HTML, INSTANT, {'page': '<p>'}"
    ),
    "stats.kpi_value.KpiValue": Line(lambda: mlops.set_stat(KpiValue("k", 2.5)), scalar("k", 2.5)),
    "stats.kpi_value.KpiValue.name": Line(
        lambda: mlops.set_stat(KpiValue("k", 2.5).name("sales")), scalar("sales", 2.5)
    ),
    "stats.kpi_value.KpiValue.TIME_SEC": Line(
        lambda: mlops.set_stat(KpiValue("k", 3, moment_s() + 4, KpiValue.TIME_SEC)), f"+4 s {scalar('k', 3)}"
    ),
    "stats.kpi_value.KpiValue.TIME_MSEC": Line(
        lambda: mlops.set_stat(KpiValue("k", 3, moment_s() * 1000 + 4500, units=KpiValue.TIME_MSEC)),
        f"+4.5 s {scalar('k', 3)}",
    ),
    "stats.kpi_value.KpiValue.TIME_USEC": Line(
        lambda: mlops.set_stat(KpiValue("k", 3, moment_s() * 10**6 + 5 * 10**6, KpiValue.TIME_USEC)),
        f"+5 s {scalar('k', 3)}",
    ),
    "stats.kpi_value.KpiValue.TIME_NSEC": Line(
        lambda: mlops.set_stat(KpiValue("k", 3, moment_s() * 10**9 + 10**9, KpiValue.TIME_NSEC)),
        f"+1 s {scalar('k', 3)}",
    ),
    "stats.kpi_value.KpiValue of other units": Line(lambda: KpiValue("k", 3, 1, "minute"), answers=REFUSED),
}


def _in_event_time(report: Any) -> None:
    with mlops.event_time(moment(3)):
        report()
