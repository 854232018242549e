"""One component, run stand-alone and connected: what arrives on the topics is what the stand-alone lines say."""

from __future__ import annotations

import ast
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.producers.conftest import Component

PROGRAM = """
import math
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from parallelm.mlops import mlops
from parallelm.mlops.metrics_constants import ClassificationMetrics, RegressionMetrics
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatCategory, StatsMode

mlops.init()
mlops.set_stat("scalar", 2.5)
mlops.set_stat("numpy", np.float32(0.1))
mlops.set_stat("flag", True)
mlops.set_stat("not a number", math.nan)
mlops.set_stat("rate", 0.1, StatCategory.CONFIG)
mlops.set_stat(SingleValue().name("instant").value(7).mode(StatsMode.Instant))
mlops.set_stat(MultiLineGraph().name("lines").labels(["a", "é b"]).data([1, math.inf]))
mlops.set_stat(Table().name("table").cols(["a", "b"]).add_row("r1", [1, "x"]).add_rows([[math.nan, None], [2, 3]]))
mlops.set_stat(BarGraph().name("bars").cols(["a", "b"]).data([1, 2.5]))
mlops.set_stat(BarGraph().name("ranges").cols([-math.inf, 0, 1.5]).data([1, 2]).as_continuous())
mlops.set_stat(Graph().name("graph").set_x_series([1, 2]).add_y_series("y", [3, 4]).annotate("m", x=1))
mlops.set_stat(MultiGraph().name("multi").add_series([1, 2], [3, 4], "a").add_series([3], [math.inf], "b"))
mlops.set_stat(Opaque().name("json").data({"a": [1, None]}))
mlops.set_stat(Opaque().name("bytes").data(b"\\x00\\xff"))
mlops.set_stat(HTML().name("page").data("<p>\\né</p>"))
rng = np.random.default_rng(0)
x = rng.normal(size=(300, 3)); y = (x[:, 0] + rng.normal(size=300) > 0).astype(int)
model = LogisticRegression().fit(x, y)
guess, chance = model.predict(x), model.predict_proba(x)[:, 1]
mlops.metrics.accuracy_score(y, guess)
mlops.metrics.confusion_matrix(y, guess, labels=[0, 1])
mlops.metrics.classification_report(y, guess)
mlops.metrics.roc_curve(y, chance)
mlops.metrics.precision_recall_curve(y, chance)
mlops.metrics.f1_score(y, guess, average=None)
mlops.set_stat(RegressionMetrics.R2_SCORE, [0.5, 0.25], labels=["u", "v"])
mlops.set_data_distribution_stat(pd.DataFrame({"n": x[:, 0], "k": np.where(y, "yes", "no")}))
mlops.done()
"""


def of_text(graph_type: str, text: str) -> Any:
    """What a stand-alone line says."""
    if graph_type == "MATRIX":
        return json.loads(text, object_pairs_hook=list)
    return ast.literal_eval(text.removeprefix("OrderedDict"))


def said(lines: str) -> dict[str, tuple[str, str, str]]:
    """(graph type, mode, data) of each stand-alone line, by name."""
    found = {}
    for line in lines.splitlines():
        _, name, graph_type, mode, data = line.split(", ", 4)
        assert data.endswith(" ")
        found[name] = (graph_type, mode, data[:-1])
    return found


def same(connected: float, printed: Any) -> bool:
    return connected == float(printed) or (math.isnan(connected) and math.isnan(printed))


def test_what_arrives_is_what_stand_alone_prints(component: Component) -> None:
    lines = said(component.run(PROGRAM, PM_MLOPS_MODE="stand_alone"))
    component.run(PROGRAM)
    numeric = {
        name for name, (graph_type, _, _) in lines.items() if graph_type in {"LINEGRAPH", "MULTILINEGRAPH"}
    }
    structured = set(lines) - numeric
    assert len(lines) == 26

    def series_of(batches: list[Any]) -> list[Any]:
        return [series for batch in batches for series in batch.series if series.name in numeric]

    arrived: dict[str, dict[str, float]] = {}
    for series in series_of(
        component.records("statistics", lambda found: {s.name for s in series_of(found)} == numeric)
    ):
        graph_type, mode, _ = lines[series.name]
        assert (series.graph_type, series.category == "TIME_SERIES") == (graph_type, mode == "TIME_SERIES")
        (value,) = series.values
        arrived.setdefault(series.name, {})[series.labels.get("line", series.name)] = value
    for name in numeric:
        printed = eval(lines[name][2], {"nan": math.nan, "inf": math.inf})  # noqa: S307 - our own lines
        assert arrived[name].keys() == printed.keys()
        assert all(same(arrived[name][label], value) for label, value in printed.items()), name

    records = component.records("structured-statistics", lambda found: len(found) >= len(structured))
    assert {record.name for record in records} == structured
    for record in records:
        graph_type, mode, text = lines[record.name]
        assert (record.graph_type, record.mode) == (graph_type, mode)
        printed = of_text(graph_type, text)
        if graph_type == "MATRIX":
            assert json.loads(record.data, object_pairs_hook=list) == printed
        elif record.content_type == "application/json":
            data = json.loads(record.data)
            assert data == (printed[record.name] if graph_type == "OPAQUE" else dict(printed))
        else:
            assert printed[record.name] == (record.data if record.name == "bytes" else record.data.decode())
        for histogram in record.histograms:
            bars = printed[histogram.feature]
            assert [weight for bar in bars for weight in bar.values()] == list(histogram.weights)
            assert len(histogram.edges or [0, *histogram.categories]) == len(bars) + 1
