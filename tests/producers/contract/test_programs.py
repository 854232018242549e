"""Whole components as they were written for the library for years, run unchanged; what they print is parsed and checked.

The trainer runs on the platform too, and what arrives there equals what it prints.
"""

from __future__ import annotations

import json
import re
from ast import literal_eval
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import mlops

if TYPE_CHECKING:
    from pathlib import Path

    from tests.producers.conftest import Component

STATISTIC = re.compile(
    r"(?P<time>\d+), (?P<name>.*?), (?P<graph>[A-Z_]+), (?P<mode>TIME_SERIES|INSTANT), (?P<data>.*) "
)

TRAINER = """
from __future__ import print_function

import argparse
import pickle
import sys

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split

from parallelm.mlops import StatCategory as st
from parallelm.mlops import mlops as pm
from parallelm.mlops.metrics_constants import ClassificationMetrics
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import MultiGraph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--num-trees", type=int, default=7)
    parser.add_argument("--output-model", default="model.pkl")
    parser.add_argument("--auc-threshold", default="0.9999")
    return parser.parse_args([])


def main():
    options = parse_args()
    pm.init()
    features, labels = make_classification(n_samples=300, n_features=5, random_state=0)
    train_x, test_x, train_y, test_y = train_test_split(features, labels, random_state=0)
    pm.set_stat("numTrees", options.num_trees, st.TIME_SERIES)
    pm.set_stat("seed", 0, st.CONFIG)

    model = RandomForestClassifier(n_estimators=options.num_trees, random_state=0)
    model.fit(train_x, train_y)
    predicted = model.predict(test_x)
    chances = model.predict_proba(test_x)[:, 1]

    accuracy = model.score(test_x, test_y)
    pm.set_stat(ClassificationMetrics.ACCURACY_SCORE, accuracy)
    assert pm.metrics.accuracy_score(y_true=test_y, y_pred=predicted) == accuracy
    pm.metrics.f1_score(test_y, predicted)
    pm.metrics.recall_score(test_y, predicted, average=None)
    pm.metrics.log_loss(test_y, chances)
    pm.metrics.jaccard_similarity_score(test_y, predicted)
    pm.metrics.classification_report(test_y, predicted)
    order = sorted(set(test_y))
    matrix = confusion_matrix(test_y, predicted, labels=order)
    pm.set_stat(ClassificationMetrics.CONFUSION_MATRIX, matrix, labels=order)

    value, counts = np.unique(predicted, return_counts=True)
    distribution = np.asarray((value, counts)).T
    bar = BarGraph().name("Label Distribution").cols((distribution[:, 0]).astype(str).tolist())
    bar.data((distribution[:, 1]).tolist())
    pm.set_stat(bar)

    auc = roc_auc_score(test_y, chances)
    pm.set_stat("ROC AUC", auc, st.TIME_SERIES)
    if auc <= float(options.auc_threshold):
        pm.health_alert("[Training] AUC Violation", "AUC Went Below {}".format(options.auc_threshold))
    fpr, tpr, _ = roc_curve(test_y, chances)
    cg = MultiGraph().name("Receiver Operating Characteristic ").set_continuous()
    cg.add_series(label="Random curve", x=fpr.tolist(), y=fpr.tolist())
    cg.add_series(label="ROC curve (area = {0:0.2f})".format(auc), x=fpr.tolist(), y=tpr.tolist())
    cg.x_title("False Positive Rate")
    cg.y_title("True Positive Rate")
    cg.annotate(label="no worse", x=0.5)
    pm.set_stat(cg)

    tbl = Table().name("Hyper parameters").cols(["Name", "Value"])
    for name in ("num_trees", "auc_threshold"):
        tbl.add_row(name, [name, str(getattr(options, name))])
    pm.set_stat(tbl)
    lines = MultiLineGraph().name("confidence").labels(["low", "high"])
    for step in range(3):
        lines.data([step, step + 0.5])
        pm.set_stat(lines)
    pm.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(predicted), st.TIME_SERIES)

    with open(options.output_model, "wb") as model_file:
        pickle.dump(model, model_file)
    published = pm.Model(name="forest", model_format=ModelFormat.SCIKIT_LEARN_3, description="of trees")
    published.set_annotations({"trees": options.num_trees})
    published.set_model_path(options.output_model)
    published.set_data_distribution_stat(train_x)
    names = ["c" + str(index) for index in range(train_x.shape[1])]
    published.feature_importance(model=model, feature_names=names, num_significant_features=3)
    assert pm.publish_model(published) == published.get_id()
    pm.done()


if __name__ == "__main__":
    main()
"""

PREDICTOR = """
import pandas as pd
import numpy as np

from parallelm.mlops import mlops as mlops
from parallelm.mlops import StatCategory as st
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph

mlops.init()
try:
    open("no such model", "rb")
    mlops.set_stat("# Model Files Used", 1)
except Exception as e:
    print("Got Exception: {}".format(e))
    mlops.set_stat("# Model Files Used", 0)
frame = pd.DataFrame({"age": np.arange(100.0), "city": ["a", "b"] * 50, "gone": [None] * 100})
mlops.set_data_distribution_stat(frame)
mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(frame), st.TIME_SERIES)
counts, edges = np.histogram(frame["age"], bins=4)
mlops.set_stat(BarGraph().name(PredefinedStats.PREDICTION_HISTOGRAM).cols(edges.tolist()).data(counts.tolist()).as_continuous())
low = 12.5
mlops.health_alert("Low confidence alert", "{}% of inferences had confidence below {}%".format(low, 40))
mlops.done()
"""

KPI_LOADER = r"""
import re
from parallelm.mlops import mlops as pm
from parallelm.mlops.stats.kpi_value import KpiValue

pm.init()
for line in ["sales, 1356998400, 3\n", "sales,1356998401.5,4.25\n"]:
    name, moment, value = re.split(r"\s*,\s*", line)[:3]
    pm.set_kpi(name, float(value), moment, KpiValue.TIME_SEC)
pm.set_kpi("sales", 5, "1356998402000", KpiValue.TIME_MSEC).set_kpi("sales", 6, "2013-01-01T00:00:03Z")
pm.set_stat(KpiValue("sales", 7, 1356998404, KpiValue.TIME_SEC))
pm.done()
"""

CLUSTERER = """
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from parallelm.mlops import mlops
from parallelm.mlops.metrics_constants import ClusteringMetrics
from parallelm.mlops.stats.graph import Graph

points, truth = make_blobs(n_samples=60, centers=3, random_state=1)
mlops.init(ctx=None, mlops_mode="stand_alone", version="1.0.1")
errors = Graph().name("elbow").x_title("k").y_title("error").set_x_series([2, 3, 4])
errors.add_y_series(label="inertia", data=[KMeans(k, n_init=3, random_state=0).fit(points).inertia_ for k in (2, 3, 4)])
mlops.set_stat(errors)
labels = KMeans(3, n_init=3, random_state=0).fit_predict(points)
mlops.metrics.calinski_harabaz_score(X=points, labels=labels)
mlops.metrics.silhouette_score(points, labels)
mlops.metrics.cluster.contingency_matrix(truth, labels)
homogeneity, completeness, v_measure = mlops.metrics.homogeneity_completeness_v_measure(truth, labels)
mlops.set_stat(ClusteringMetrics.V_MEASURE_SCORE, v_measure)
mlops.done()
"""


class Printed:
    """Lines of a stand-alone run, by the name of the statistic."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, list[tuple[str, str, str, int]]] = {}
        self.others: list[str] = []
        for line in text.splitlines():
            if found := STATISTIC.fullmatch(line):
                report = (found["graph"], found["mode"], found["data"], int(found["time"]))
                self.lines.setdefault(found["name"], []).append(report)
            else:
                self.others.append(line)

    def kind(self, name: str) -> tuple[str, str]:
        """Graph type and mode, the same on every line."""
        (kind,) = {line[:2] for line in self.lines[name]}
        return kind

    def number(self, name: str) -> Any:
        return literal_eval(self.lines[name][-1][2])[name]

    def table(self, name: str) -> Any:
        return json.loads(self.lines[name][-1][2])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    for name in ("PM_MLOPS_MODE", "PM_MLOPS_FILE", "MCENTER_EVENT_TIME", "AGENT_PUBLIC_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def execute(program: str) -> Printed:
        exec(compile(program, "component.py", "exec"), {"__name__": "__main__"})  # noqa: S102 - of this file
        assert not mlops.init_called
        return Printed(capsys.readouterr().out)

    return execute


def test_a_trainer_of_a_classifier(run: Any) -> None:
    printed = run(TRAINER)
    assert printed.kind("numTrees") == ("LINEGRAPH", "TIME_SERIES")
    assert printed.number("numTrees") == 7
    assert printed.kind("seed") == ("LINEGRAPH", "INSTANT")
    first, second = (literal_eval(line[2]) for line in printed.lines["Accuracy Score"])
    assert first == second
    assert printed.kind("Recall Score") == ("MULTILINEGRAPH", "TIME_SERIES")
    matrix = printed.table("Confusion Matrix")
    assert sum(int(cell) for row in matrix.values() for cell in row.values()) == 75
    bars = literal_eval(printed.lines["Label Distribution"][0][2])["Label Distribution"]
    assert sum(height for bar in bars for height in bar.values()) == 75
    assert len(printed.lines["confidence"]) == 3
    assert literal_eval(printed.lines["confidence"][-1][2]) == {"low": 2, "high": 2.5}
    assert printed.kind("Receiver Operating Characteristic ") == ("GENERAL_GRAPH", "INSTANT")
    assert list(printed.table("Hyper parameters")) == ["num_trees", "auc_threshold"]
    assert printed.number("pipelinestat.count") == 75
    importances = literal_eval(printed.lines["Feature Importance"][0][2])["Feature Importance"]
    heights = [height for bar in importances for height in bar.values()]
    assert heights == sorted(heights, reverse=True)
    assert len(heights) == 3
    assert printed.kind("continuousDataHistogram") == ("BARGRAPH", "INSTANT")
    (alert,) = printed.others
    assert alert.startswith("53, [Training] AUC Violation, True, {")


def test_a_predictor_of_a_frame(run: Any) -> None:
    printed = run(PREDICTOR)
    assert printed.number("# Model Files Used") == 0
    assert list(literal_eval(printed.lines["categoricalDataHistogram"][0][2])) == ["city"]
    assert printed.table("Continuous Data Analysis")["age"]["Missing"] == "0.0%"
    histogram = literal_eval(printed.lines["PredictionHistogram"][0][2])["PredictionHistogram"]
    assert list(histogram[0]) == ["0.0 to 24.75"]
    assert printed.others[-1].startswith("53, Low confidence alert, True, {")


def test_a_loader_of_kpis_from_lines_of_a_file(run: Any) -> None:
    points = [(at_ns, literal_eval(data)["sales"]) for _, _, data, at_ns in run(KPI_LOADER).lines["sales"]]
    year_ns = 1_356_998_400_000_000_000
    assert points == [
        (year_ns, 3.0),
        (year_ns + 1_500_000_000, 4.25),
        (year_ns + 2_000_000_000, 5),
        (year_ns + 3_000_000_000, 6),
        (year_ns + 4_000_000_000, 7),
    ]


def test_a_trainer_of_a_clustering(run: Any) -> None:
    printed = run(CLUSTERER)
    assert printed.kind("elbow") == ("GENERAL_GRAPH", "INSTANT")
    assert printed.number("V Measure Score") == pytest.approx(1.0)
    assert {name: printed.kind(name)[0] for name in list(printed.lines)[1:]} == {
        "Calinski Harabaz Score": "LINEGRAPH",
        "Silhouette Score": "LINEGRAPH",
        "Contingency Matrix": "MATRIX",
        "Homogeneity - Completeness - V Measure": "MULTILINEGRAPH",
        "V Measure Score": "LINEGRAPH",
    }


def test_the_trainer_reports_to_the_platform_what_it_prints(run: Any, component: Component) -> None:
    printed = run(TRAINER)
    component.run(TRAINER)
    batches = component.records(
        "statistics",
        lambda found: any(series.name == "pipelinestat.count" for batch in found for series in batch.series),
    )
    arrived: dict[str, list[float]] = {}
    for batch in batches:
        for series in batch.series:
            arrived.setdefault(series.name, []).extend(series.values)
    expected: dict[str, list[float]] = {}
    for name, lines in printed.lines.items():
        for graph, _, data, _ in lines:
            if graph in {"LINEGRAPH", "MULTILINEGRAPH"}:
                expected.setdefault(name, []).extend(map(float, literal_eval(data).values()))
    assert {name: sorted(values) for name, values in arrived.items()} == {
        name: sorted(values) for name, values in expected.items()
    }
    structured = {
        name for name, lines in printed.lines.items() if lines[0][0] not in {"LINEGRAPH", "MULTILINEGRAPH"}
    }
    records = component.records(
        "structured-statistics", lambda found: {one.name for one in found} >= structured
    )
    assert {record.name for record in records} == structured
    (alert,) = component.records("events", bool)
    assert alert.title == "[Training] AUC Violation"
    (model,) = component.records("models", bool)
    assert (model.name, model.format, model.annotations) == ("forest", "ScikitLearn_3", {"trees": "7"})
    about_it = {record.name for record in records if record.model_id == model.model_id}
    assert about_it == {"continuousDataHistogram", "Continuous Data Analysis", "Feature Importance"}
