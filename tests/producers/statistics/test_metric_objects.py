"""What ``set_stat`` makes of the members of the metric enums, fed with scikit-learn's own results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from parallelm.mlops import mlops
from parallelm.mlops._metrics.objects import metric_object
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException, MLOpsStatisticsException
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable

Y_TRUE = ["cat", "dog", "cat", "ant ant", "dog", "dog", "cat", "cat"]
Y_PRED = ["cat", "cat", "cat", "ant ant", "dog", "dog", "dog", "cat"]
SHAPED = {
    ClassificationMetrics.CLASSIFICATION_REPORT,
    ClassificationMetrics.CONFUSION_MATRIX,
    ClassificationMetrics.PRECISION_RECALL_CURVE,
    ClassificationMetrics.ROC_CURVE,
    ClusteringMetrics.CONTINGENCY_MATRIX,
    ClusteringMetrics.HOMOGENEITY_COMPLETENESS_V_MEASURE,
}
ALL = [*ClassificationMetrics, *RegressionMetrics, *ClusteringMetrics]
BY_CLASS = [
    ClassificationMetrics.F1_SCORE,
    ClassificationMetrics.FBETA_SCORE,
    ClassificationMetrics.PRECISION_SCORE,
    ClassificationMetrics.RECALL_SCORE,
    *(member for member in RegressionMetrics if member is not RegressionMetrics.MEDIAN_ABSOLUTE_ERROR),
]


def rows(text: str) -> dict[str, dict[str, str]]:
    parsed: dict[str, dict[str, str]] = json.loads(text)
    return parsed


@pytest.mark.parametrize(
    "member", [member for member in ALL if member not in SHAPED], ids=lambda member: member.name
)
@pytest.mark.parametrize("value", [0.75, np.float64(0.75), 1, np.array(0.75)])
def test_scalar_metrics_are_single_values(member: Any, value: Any) -> None:
    report = metric_object(member, value).report()
    assert (report.name, report.graph_type) == (member.value, "LINEGRAPH")
    assert report.text == repr({member.value: float(value) if value != 1 else 1})


@pytest.mark.parametrize(
    "data",
    [[0.5], [0.5, 0.25], (0.5, 0.25), np.array([0.5, 0.25]), [], np.array([0.5]), pd.Series([0.5, 0.25])],
)
def test_the_median_absolute_error_is_one_number(data: Any) -> None:
    with pytest.raises(MLOpsStatisticsException):
        metric_object(RegressionMetrics.MEDIAN_ABSOLUTE_ERROR, data)
    with capture() as reported, pytest.raises(MLOpsStatisticsException):
        mlops.set_stat(RegressionMetrics.MEDIAN_ABSOLUTE_ERROR, data)
    assert reported.samples == []


@pytest.mark.parametrize("member", BY_CLASS, ids=lambda member: member.name)
def test_a_value_for_each_class_or_output_is_a_line(member: Any) -> None:
    report = metric_object(member, np.array([0.5, 0.25])).report()
    assert (report.name, report.graph_type, report.text) == (
        member.value,
        "MULTILINEGRAPH",
        "{'0': 0.5, '1': 0.25}",
    )
    assert metric_object(member, [0.5], labels=["a"]).report().text == "{'a': 0.5}"
    assert metric_object(member, [0.5, 1], labels=np.array([3, 4])).report().text == "{'3': 0.5, '4': 1}"
    with pytest.raises(MLOpsStatisticsException):
        metric_object(member, [0.5], labels=["a", "b"])


def test_a_classification_report_is_a_table() -> None:
    report = metric_object(
        ClassificationMetrics.CLASSIFICATION_REPORT, sk.classification_report(Y_TRUE, Y_PRED)
    ).report()
    assert (report.name, report.graph_type) == ("Classification Report", "MATRIX")
    table = rows(report.text)
    assert list(table) == ["ant ant", "cat", "dog", "accuracy", "macro avg", "weighted avg"]
    assert table["cat"] == {"precision": "0.75", "recall": "0.75", "f1-score": "0.75", "support": "4"}
    assert table["accuracy"] == {"precision": "", "recall": "", "f1-score": "0.75", "support": "8"}


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"labels": [0, 1]}, ["0", "1", "micro avg", "macro avg", "weighted avg"]),
        (
            {"target_names": ["class 0", "1 2 3", ""]},
            ["class 0", "1 2 3", "", "accuracy", "macro avg", "weighted avg"],
        ),
        ({"digits": 6}, ["0", "1", "2", "accuracy", "macro avg", "weighted avg"]),
    ],
)
def test_classification_reports_of_any_layout_are_read(options: dict[str, Any], labels: list[str]) -> None:
    text = sk.classification_report([0, 1, 2, 2], [0, 1, 2, 1], **options)
    table = rows(metric_object(ClassificationMetrics.CLASSIFICATION_REPORT, text).report().text)
    assert list(table) == labels
    assert all(len(cells) == 4 for cells in table.values())


def test_a_confusion_matrix_is_a_table_of_strings() -> None:
    matrix = sk.confusion_matrix([0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1, 1, 1])
    report = metric_object(ClassificationMetrics.CONFUSION_MATRIX, matrix, labels=[0, 1]).report()
    assert report.text == '{"0":{"0":"2", "1":"1"}, "1":{"0":"1", "1":"4"}}'
    assert (
        metric_object(ClassificationMetrics.CONFUSION_MATRIX, matrix.tolist(), labels=["0", "1"]).report()
        == report
    )


def test_a_contingency_matrix_is_a_table() -> None:
    matrix = sk.cluster.contingency_matrix([0, 0, 1, 1], [0, 1, 2, 2])
    report = metric_object(
        ClusteringMetrics.CONTINGENCY_MATRIX, matrix, true_labels=["a", "b"], pred_labels=[0, 1, 2]
    ).report()
    assert report.text == '{"a":{"0":"1", "1":"1", "2":"0"}, "b":{"0":"0", "1":"0", "2":"2"}}'


@pytest.mark.parametrize(
    ("member", "x_title", "y_title"),
    [
        (ClassificationMetrics.PRECISION_RECALL_CURVE, "Recall", "Precision"),
        (ClassificationMetrics.ROC_CURVE, "False Positive Rate", "True Positive Rate"),
    ],
)
def test_a_curve_is_a_graph_of_the_first_over_the_second(member: Any, x_title: str, y_title: str) -> None:
    curve = [np.array([0.1, 0.2]), np.array([0.3, 0.4])]
    drawn = json.loads(metric_object(member, curve).report().payload)
    assert (drawn["x_title"], drawn["y_title"]) == (x_title, y_title)
    assert drawn["x_series"] == [0.3, 0.4]
    assert drawn["y_series"] == [{"label": f"{y_title} vs {x_title}", "data": [0.1, 0.2]}]
    assert (
        json.loads(metric_object(member, np.array(curve), legend="mine").report().payload)["y_series"][0][
            "label"
        ]
        == "mine"
    )


def test_a_curve_over_a_large_test_set_fits_in_a_record() -> None:
    curve = np.linspace(0, 1, 300_001)
    report: Any = metric_object(ClassificationMetrics.ROC_CURVE, [curve**2, curve]).report()
    assert len(report.payload) < 500_000
    drawn = json.loads(report.payload)
    x, y = np.array(drawn["x_series"]), np.array(drawn["y_series"][0]["data"])
    assert (x[0], x[-1]) == (0, 1)
    np.testing.assert_allclose(y, x**2)
    assert np.diff(x).max() < 1 / 4000


def test_the_three_v_measures_are_lines() -> None:
    measures = sk.homogeneity_completeness_v_measure([0, 0, 1, 1], [0, 0, 1, 2])
    report = metric_object(ClusteringMetrics.HOMOGENEITY_COMPLETENESS_V_MEASURE, measures).report()
    assert (report.name, report.graph_type) == ("Homogeneity - Completeness - V Measure", "MULTILINEGRAPH")
    assert report.samples == tuple(zip(("Homogeneity", "Completeness", "V Measure"), measures, strict=True))


C, L = ClassificationMetrics, ClusteringMetrics


@pytest.mark.parametrize(
    "call",
    [
        lambda: metric_object(C.ACCURACY_SCORE, "0.5"),
        lambda: metric_object(C.ACCURACY_SCORE, None),
        lambda: metric_object(C.ACCURACY_SCORE, [0.5]),
        lambda: metric_object(C.F1_SCORE, []),
        lambda: metric_object(C.F1_SCORE, ["a"]),
        lambda: metric_object(C.F1_SCORE, np.zeros((2, 2))),
        lambda: metric_object(C.F1_SCORE, [0.5], labels=5),
        lambda: metric_object(C.F1_SCORE, 0.5, lables=["a"]),
        lambda: metric_object(C.CLASSIFICATION_REPORT, 5),
        lambda: metric_object(C.CLASSIFICATION_REPORT, ""),
        lambda: metric_object(C.CLASSIFICATION_REPORT, "no report"),
        lambda: metric_object(C.CLASSIFICATION_REPORT, "precision recall f1-score support\nx y"),
        lambda: metric_object(C.CONFUSION_MATRIX, [[1, 2], [3, 4]]),
        lambda: metric_object(C.CONFUSION_MATRIX, [[1, 2], [3, 4]], labels=[1]),
        lambda: metric_object(C.CONFUSION_MATRIX, [[1, 2], [3]], labels=[1, 2]),
        lambda: metric_object(C.CONFUSION_MATRIX, [1, 2], labels=[1, 2]),
        lambda: metric_object(C.CONFUSION_MATRIX, [["a", 2], [3, 4]], labels=[1, 2]),
        lambda: metric_object(C.CONFUSION_MATRIX, 5, labels=[1]),
        lambda: metric_object(C.ROC_CURVE, [[1, 2]]),
        lambda: metric_object(C.ROC_CURVE, [[1, 2], [1]]),
        lambda: metric_object(C.ROC_CURVE, [[1], [1]], legend=5),
        lambda: metric_object(C.ROC_CURVE, 0.5),
        lambda: metric_object(L.CONTINGENCY_MATRIX, [[1]]),
        lambda: metric_object(L.CONTINGENCY_MATRIX, [[1]], true_labels=["a"]),
        lambda: metric_object(L.HOMOGENEITY_COMPLETENESS_V_MEASURE, (1, 2)),
        lambda: metric_object(L.HOMOGENEITY_COMPLETENESS_V_MEASURE, 1),
    ],
)
def test_wrong_shapes_and_types_raise_mlops_statistics_exception(call: Callable[[], object]) -> None:
    with pytest.raises(MLOpsStatisticsException) as caught:
        call()
    assert isinstance(caught.value, MLOpsException)
