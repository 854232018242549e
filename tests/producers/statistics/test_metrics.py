"""``mlops.metrics``: scikit-learn's own values are returned and reported, and what scikit-learn dropped still works."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics as sk

from parallelm.mlops._metrics import MLOpsMetrics
from parallelm.mlops._metrics.objects import metric_object
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException, MLOpsStatisticsException

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport

RANDOM = np.random.default_rng(7)
TRUTH = RANDOM.integers(0, 2, 80)
GUESS = np.where(RANDOM.random(80) < 0.8, TRUTH, 1 - TRUTH)
CHANCE = np.clip(TRUTH * 0.4 + RANDOM.random(80) * 0.6, 0.01, 0.99)
WEIGHT = RANDOM.random(80)
MANY = RANDOM.integers(0, 3, 80)
MANY_GUESS = np.where(RANDOM.random(80) < 0.7, MANY, 0)
MANY_CHANCE = RANDOM.dirichlet([1, 1, 1], 80)
INDICATOR = RANDOM.integers(0, 2, (40, 4))
INDICATOR_GUESS = RANDOM.integers(0, 2, (40, 4))
REAL = RANDOM.random((80, 2)) + 0.1
REAL_GUESS = REAL + RANDOM.random((80, 2)) * 0.1
POINTS = RANDOM.random((80, 2))


class Recorded:
    """Stands where ``set_stat`` stands."""

    def __init__(self) -> None:
        self.reports: list[NumericReport | StructuredReport] = []
        self.metrics = MLOpsMetrics(self.report)

    def report(self, member: Any, data: Any = None, **options: Any) -> None:
        statistic = member if data is None else metric_object(member, data, **options)
        self.reports.append(statistic.report())

    @property
    def only(self) -> Any:
        (report,) = self.reports
        return report


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


C, R, L = ClassificationMetrics, RegressionMetrics, ClusteringMetrics
SCALARS: list[tuple[Any, Callable[[Any], Any], Callable[[], Any]]] = [
    (C.ACCURACY_SCORE, lambda m: m.accuracy_score(TRUTH, GUESS), lambda: sk.accuracy_score(TRUTH, GUESS)),
    (
        C.ACCURACY_SCORE,
        lambda m: m.accuracy_score(TRUTH, GUESS, False, WEIGHT),
        lambda: sk.accuracy_score(TRUTH, GUESS, normalize=False, sample_weight=WEIGHT),
    ),
    (C.AUC, lambda m: m.auc([0, 0.5, 1], [0, 0.8, 1]), lambda: sk.auc([0, 0.5, 1], [0, 0.8, 1])),
    (
        C.AUC,
        lambda m: m.auc([1, 0, 0.5], [1, 0, 0.8], reorder=True),
        lambda: sk.auc([0, 0.5, 1], [0, 0.8, 1]),
    ),
    (C.AUC, lambda m: m.auc([0, 0.5, 1], [0, 0.8, 1], False), lambda: sk.auc([0, 0.5, 1], [0, 0.8, 1])),
    (
        C.AVERAGE_PRECISION_SCORE,
        lambda m: m.average_precision_score(TRUTH, CHANCE, "macro", WEIGHT),
        lambda: sk.average_precision_score(TRUTH, CHANCE, sample_weight=WEIGHT),
    ),
    (
        C.BALANCED_ACCURACY_SCORE,
        lambda m: m.balanced_accuracy_score(TRUTH, GUESS, WEIGHT, True),
        lambda: sk.balanced_accuracy_score(TRUTH, GUESS, sample_weight=WEIGHT, adjusted=True),
    ),
    (
        C.BRIER_SCORE_LOSS,
        lambda m: m.brier_score_loss(TRUTH, y_prob=CHANCE, sample_weight=WEIGHT, pos_label=1),
        lambda: sk.brier_score_loss(TRUTH, CHANCE, sample_weight=WEIGHT),
    ),
    (
        C.COHEN_KAPPA_SCORE,
        lambda m: m.cohen_kappa_score(MANY, MANY_GUESS, [0, 1, 2], "linear", WEIGHT),
        lambda: sk.cohen_kappa_score(
            MANY, MANY_GUESS, labels=[0, 1, 2], weights="linear", sample_weight=WEIGHT
        ),
    ),
    (
        C.F1_SCORE,
        lambda m: m.f1_score(MANY, MANY_GUESS, None, 1, "macro", WEIGHT),
        lambda: sk.f1_score(MANY, MANY_GUESS, average="macro", sample_weight=WEIGHT),
    ),
    (
        C.FBETA_SCORE,
        lambda m: m.fbeta_score(TRUTH, GUESS, 0.5, pos_label=0),
        lambda: sk.fbeta_score(TRUTH, GUESS, beta=0.5, pos_label=0),
    ),
    (
        C.HAMMING_LOSS,
        lambda m: m.hamming_loss(TRUTH, GUESS, [0, 1], WEIGHT),
        lambda: sk.hamming_loss(TRUTH, GUESS, sample_weight=WEIGHT),
    ),
    (
        C.HAMMING_LOSS,
        lambda m: m.hamming_loss(INDICATOR, INDICATOR_GUESS, list("abcdefgh")),
        lambda: sk.hamming_loss(INDICATOR, INDICATOR_GUESS) / 2,
    ),
    (
        C.HINGE_LOSS,
        lambda m: m.hinge_loss(TRUTH, CHANCE - 0.5, None, WEIGHT),
        lambda: sk.hinge_loss(TRUTH, CHANCE - 0.5, sample_weight=WEIGHT),
    ),
    (
        C.JACCARD_SIMILARITY_SCORE,
        lambda m: m.jaccard_similarity_score(MANY, MANY_GUESS, True, WEIGHT),
        lambda: sk.accuracy_score(MANY, MANY_GUESS, sample_weight=WEIGHT),
    ),
    (
        C.JACCARD_SIMILARITY_SCORE,
        lambda m: m.jaccard_similarity_score(INDICATOR, INDICATOR_GUESS, normalize=False),
        lambda: sum(
            (t & g).sum() / (t | g).sum() if (t | g).any() else 1
            for t, g in zip(INDICATOR, INDICATOR_GUESS, strict=True)
        ),
    ),
    (C.LOG_LOSS, lambda m: m.log_loss(TRUTH, CHANCE), lambda: sk.log_loss(TRUTH, CHANCE)),
    (C.LOG_LOSS, lambda m: m.log_loss([0, 1], [0.0, 0.0]), lambda: sk.log_loss([0, 1], [0.0, 0.0])),
    (
        C.LOG_LOSS,
        lambda m: m.log_loss([0, 1], [0.0, 0.0], 1e-3),
        lambda: -(np.log(1 - 1e-3) + np.log(1e-3)) / 2,
    ),
    (
        C.LOG_LOSS,
        lambda m: m.log_loss([0, 1], [[1.0, 0.0], [1.0, 0.0]], eps=1e-3),
        lambda: -(np.log(1 - 1e-3) + np.log(1e-3)) / 2,
    ),
    (
        C.LOG_LOSS,
        lambda m: m.log_loss(MANY, MANY_CHANCE, 1e-15, False, WEIGHT, [0, 1, 2]),
        lambda: sk.log_loss(MANY, MANY_CHANCE, normalize=False, sample_weight=WEIGHT, labels=[0, 1, 2]),
    ),
    (
        C.MATTHEWS_CORRELATION_COEFFICIENT,
        lambda m: m.matthews_corrcoef(TRUTH, GUESS, WEIGHT),
        lambda: sk.matthews_corrcoef(TRUTH, GUESS, sample_weight=WEIGHT),
    ),
    (C.PRECISION_SCORE, lambda m: m.precision_score(TRUTH, GUESS), lambda: sk.precision_score(TRUTH, GUESS)),
    (
        C.PRECISION_SCORE,
        lambda m: m.precision_score([0, 1], [0, 0], zero_division=0.0),
        lambda: 0.0,
    ),
    (C.RECALL_SCORE, lambda m: m.recall_score(TRUTH, GUESS), lambda: sk.recall_score(TRUTH, GUESS)),
    (
        C.ROC_AUC_SCORE,
        lambda m: m.roc_auc_score(TRUTH, CHANCE, "macro", WEIGHT),
        lambda: sk.roc_auc_score(TRUTH, CHANCE, sample_weight=WEIGHT),
    ),
    (
        C.ROC_AUC_SCORE,
        lambda m: m.roc_auc_score(MANY, MANY_CHANCE, multi_class="ovr"),
        lambda: sk.roc_auc_score(MANY, MANY_CHANCE, multi_class="ovr"),
    ),
    (
        C.ZERO_ONE_LOSS,
        lambda m: m.zero_one_loss(TRUTH, GUESS, False, WEIGHT),
        lambda: sk.zero_one_loss(TRUTH, GUESS, normalize=False, sample_weight=WEIGHT),
    ),
    *(
        (
            member,
            lambda m, name=name: getattr(m, name)(REAL, REAL_GUESS, WEIGHT, "uniform_average"),
            lambda name=name: getattr(sk, name)(REAL, REAL_GUESS, sample_weight=WEIGHT),
        )
        for member, name in [
            (R.EXPLAINED_VARIANCE_SCORE, "explained_variance_score"),
            (R.MEAN_ABSOLUTE_ERROR, "mean_absolute_error"),
            (R.MEAN_SQUARED_ERROR, "mean_squared_error"),
            (R.MEAN_SQUARED_LOG_ERROR, "mean_squared_log_error"),
            (R.R2_SCORE, "r2_score"),
        ]
    ),
    (
        R.MEDIAN_ABSOLUTE_ERROR,
        lambda m: m.median_absolute_error(REAL, REAL_GUESS),
        lambda: sk.median_absolute_error(REAL, REAL_GUESS),
    ),
    *(
        (
            member,
            lambda m, name=name: getattr(m, name)(MANY, MANY_GUESS),
            lambda name=name: getattr(sk, name)(MANY, MANY_GUESS),
        )
        for member, name in [
            (L.ADJUSTED_MUTUAL_INFO_SCORE, "adjusted_mutual_info_score"),
            (L.ADJUSTED_RAND_SCORE, "adjusted_rand_score"),
            (L.COMPLETENESS_SCORE, "completeness_score"),
            (L.FOWLKES_MALLOWS_SCORE, "fowlkes_mallows_score"),
            (L.HOMOGENEITY_SCORE, "homogeneity_score"),
            (L.MUTUAL_INFO_SCORE, "mutual_info_score"),
            (L.NORMALIZED_MUTUAL_INFO_SCORE, "normalized_mutual_info_score"),
            (L.V_MEASURE_SCORE, "v_measure_score"),
        ]
    ),
    (
        L.FOWLKES_MALLOWS_SCORE,
        lambda m: m.fowlkes_mallows_score(MANY, MANY_GUESS, sparse=True),
        lambda: sk.fowlkes_mallows_score(MANY, MANY_GUESS),
    ),
    (
        L.MUTUAL_INFO_SCORE,
        lambda m: m.mutual_info_score(None, None, np.array([[3, 1], [0, 4]])),
        lambda: sk.mutual_info_score(None, None, contingency=np.array([[3, 1], [0, 4]])),
    ),
    (
        L.CALINSKI_HARABAZ_SCORE,
        lambda m: m.calinski_harabaz_score(POINTS, MANY),
        lambda: sk.calinski_harabasz_score(POINTS, MANY),
    ),
    (
        L.SILHOUETTE_SCORE,
        lambda m: m.silhouette_score(POINTS, MANY, "minkowski", 40, 3, p=1),
        lambda: sk.silhouette_score(POINTS, MANY, metric="minkowski", sample_size=40, random_state=3, p=1),
    ),
]


@pytest.mark.parametrize(
    ("member", "call", "expected"), SCALARS, ids=lambda value: getattr(value, "name", "")
)
def test_scores_are_those_of_scikit_learn(recorded: Recorded, member: Any, call: Any, expected: Any) -> None:
    value = call(recorded.metrics)
    assert value == pytest.approx(expected(), rel=1e-12)
    assert (recorded.only.name, recorded.only.graph_type) == (member.value, "LINEGRAPH")
    assert recorded.only.samples == (("", float(value)),)


def test_every_member_has_a_function() -> None:
    shaped = {
        C.CLASSIFICATION_REPORT,
        C.CONFUSION_MATRIX,
        C.PRECISION_RECALL_CURVE,
        C.ROC_CURVE,
        L.CONTINGENCY_MATRIX,
        L.HOMOGENEITY_COMPLETENESS_V_MEASURE,
    }
    assert {member for member, _, _ in SCALARS} | shaped == {*C, *R, *L}


@pytest.mark.parametrize("name", ["f1_score", "precision_score", "recall_score"])
def test_a_score_for_each_class_is_reported_as_lines(recorded: Recorded, name: str) -> None:
    words = np.array(["ant", "bee", "cat"])
    value = getattr(recorded.metrics, name)(words[MANY], words[MANY_GUESS], average=None)
    np.testing.assert_array_equal(value, getattr(sk, name)(words[MANY], words[MANY_GUESS], average=None))
    assert recorded.only.samples == tuple(zip(words.tolist(), value.tolist(), strict=True))


def test_scores_of_chosen_classes_carry_their_labels(recorded: Recorded) -> None:
    value = recorded.metrics.fbeta_score(MANY, MANY_GUESS, 2, labels=[2, 0], average=None)
    np.testing.assert_array_equal(
        value, sk.fbeta_score(MANY, MANY_GUESS, beta=2, labels=[2, 0], average=None)
    )
    assert recorded.only.samples == (("2", value[0]), ("0", value[1]))


@pytest.mark.parametrize("name", ["average_precision_score", "roc_auc_score"])
def test_multi_label_scores_are_reported_as_lines(recorded: Recorded, name: str) -> None:
    scores = RANDOM.random(INDICATOR.shape)
    value = getattr(recorded.metrics, name)(INDICATOR, scores, average=None)
    np.testing.assert_array_equal(value, getattr(sk, name)(INDICATOR, scores, average=None))
    assert recorded.only.samples == tuple((str(index), score) for index, score in enumerate(value))


def test_raw_values_of_a_regression_are_reported_as_lines(recorded: Recorded) -> None:
    value = recorded.metrics.r2_score(REAL, REAL_GUESS, multioutput="raw_values")
    np.testing.assert_array_equal(value, sk.r2_score(REAL, REAL_GUESS, multioutput="raw_values"))
    assert recorded.only.samples == (("0", value[0]), ("1", value[1]))


def test_the_classification_report_is_returned_as_text_and_reported_as_a_table(recorded: Recorded) -> None:
    text = recorded.metrics.classification_report(MANY, MANY_GUESS, [0, 1, 2], ["a", "b", "c"], None, 3)
    assert text == sk.classification_report(
        MANY, MANY_GUESS, labels=[0, 1, 2], target_names=["a", "b", "c"], digits=3
    )
    table = json.loads(recorded.only.text)
    as_numbers = sk.classification_report(MANY, MANY_GUESS, target_names=["a", "b", "c"], output_dict=True)
    assert float(table["b"]["recall"]) == pytest.approx(as_numbers["b"]["recall"], abs=5e-4)


def test_the_confusion_matrix_is_reported_with_its_labels(recorded: Recorded) -> None:
    value = recorded.metrics.confusion_matrix(MANY, MANY_GUESS, [2, 1, 0])
    np.testing.assert_array_equal(value, sk.confusion_matrix(MANY, MANY_GUESS, labels=[2, 1, 0]))
    table = json.loads(recorded.only.text)
    assert [[int(cell) for cell in row.values()] for row in table.values()] == value.tolist()
    assert list(table) == list(table["2"]) == ["2", "1", "0"]


def test_a_confusion_matrix_needs_labels(recorded: Recorded) -> None:
    with pytest.raises(MLOpsStatisticsException, match="labels"):
        recorded.metrics.confusion_matrix(["x", "y"], ["x", "x"], None)


def test_the_contingency_matrix_is_reported_with_classes_and_clusters(recorded: Recorded) -> None:
    value = recorded.metrics.cluster.contingency_matrix(["a", "a", "b"], [0, 1, 2])
    np.testing.assert_array_equal(value, [[1, 1, 0], [0, 0, 1]])
    assert recorded.only.text == '{"a":{"0":"1", "1":"1", "2":"0"}, "b":{"0":"0", "1":"0", "2":"1"}}'


def test_the_three_v_measures_are_returned_together(recorded: Recorded) -> None:
    value = recorded.metrics.homogeneity_completeness_v_measure(MANY, MANY_GUESS)
    assert value == sk.homogeneity_completeness_v_measure(MANY, MANY_GUESS)
    assert [sample for _, sample in recorded.only.samples] == list(value)


def test_the_roc_curve_tells_its_area(recorded: Recorded) -> None:
    fpr, tpr, thresholds = recorded.metrics.roc_curve(TRUTH, CHANCE, None, WEIGHT, False)
    expected = sk.roc_curve(TRUTH, CHANCE, sample_weight=WEIGHT, drop_intermediate=False)
    for mine, theirs in zip((fpr, tpr, thresholds), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    drawn = json.loads(recorded.only.payload)
    assert drawn["x_series"] == fpr.tolist()
    assert drawn["y_series"] == [{"label": f"ROC Curve, AUC: {sk.auc(fpr, tpr)}", "data": tpr.tolist()}]


def test_the_precision_recall_curve_tells_its_classes_and_average_precision(recorded: Recorded) -> None:
    precision, recall, thresholds = recorded.metrics.precision_recall_curve(TRUTH, probas_pred=CHANCE)
    for mine, theirs in zip(
        (precision, recall, thresholds), sk.precision_recall_curve(TRUTH, CHANCE), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    drawn = json.loads(recorded.only.payload)
    mean = sk.average_precision_score(TRUTH, CHANCE)
    assert drawn["y_series"][0] == {
        "label": f"2-class Precision Recall Curve - Average Precision: {mean}",
        "data": precision.tolist(),
    }
    assert (drawn["x_title"], drawn["x_series"]) == ("Recall", recall.tolist())


def test_curves_of_named_classes(recorded: Recorded) -> None:
    words = np.where(TRUTH == 1, "yes", "no")
    recorded.metrics.precision_recall_curve(words, CHANCE, pos_label="yes")
    recorded.metrics.roc_curve(words, CHANCE, pos_label="yes")
    assert [report.name for report in recorded.reports] == ["Precision Recall Curve", "ROC Curve"]


def test_errors_of_scikit_learn_pass_through(recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="inconsistent"):
        recorded.metrics.accuracy_score([1], [1, 0])
    assert recorded.reports == []


def test_without_scikit_learn_a_metric_says_what_to_install(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MLOpsException, match=r"mcenter-stream\[metrics\]"):
        recorded.metrics.accuracy_score([1], [1])


def test_statistics_import_nothing_outside_the_standard_library() -> None:
    script = """
import sys
import parallelm.mlops._metrics, parallelm.mlops._metrics.objects, parallelm.mlops._distribution
from parallelm.mlops.stats import bar_graph, graph, html, kpi_value, multi_line_graph, opaque, single_value, table
graph.Graph().set_x_series([1, 2]).add_y_series("y", [1, 2]).report()
table.Table().cols(["a"]).add_row([1.5]).report()
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"parallelm", "__main__"}
print(sorted(name for name in foreign if not name.startswith(("_", "sitecustomize"))))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
