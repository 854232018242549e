"""Lines of the contract: ``mlops.metrics``, each held against scikit-learn, and the metric enums in ``set_stat``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn import metrics as sk

from parallelm.mlops import mlops
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from tests.producers.contract.line import Line, scalar
from tests.producers.contract.statistic_lines import graph_text

if TYPE_CHECKING:
    from collections.abc import Callable

Classification, Regression, Clustering = ClassificationMetrics, RegressionMetrics, ClusteringMetrics
WRONG: Final = "MLOpsStatisticsException"

TRUE: Final = [0, 1, 1, 0, 1, 1, 0, 1]
GUESSED: Final = [0, 1, 0, 0, 1, 1, 1, 1]
CHANCES: Final = [0.1, 0.8, 0.4, 0.3, 0.9, 0.7, 0.6, 0.65]
WEIGHTS: Final = [1.0, 2.0, 1.0, 0.5, 1.0, 1.0, 3.0, 1.0]
MANY_LABELS: Final = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1]])
MANY_GUESSED: Final = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0], [0, 1, 1]])
MEASURED: Final = np.array([3.0, 0.5, 2.0, 7.25])
PREDICTED: Final = np.array([2.5, 0.25, 2.0, 8.0])
TWO_OUTPUTS: Final = (
    np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 4.0]]),
    np.array([[1.5, 2.0], [2.5, 1.5], [2.0, 3.0]]),
)
CLASSES: Final = [0, 0, 1, 1, 2, 2, 2]
CLUSTERS: Final = [0, 0, 1, 2, 2, 2, 1]
POINTS: Final = np.array([[0.0, 0.1], [0.2, 0.0], [5.0, 5.1], [4.0, 4.0], [9.0, 9.5], [9.1, 9.0], [5.2, 4.9]])


def table(name: str, matrix: Any, rows: list[Any], columns: list[Any]) -> str:
    """What stand-alone prints of a matrix of counts."""
    shown = ", ".join(
        f'"{row}":{{'
        + ", ".join(f'"{column}":"{cell}"' for column, cell in zip(columns, cells, strict=True))
        + "}"
        for row, cells in zip(rows, matrix, strict=True)
    )
    return f"{name}, MATRIX, INSTANT, {{{shown}}}"


def lines(name: str, values: Any, labels: list[str]) -> str:
    """What stand-alone prints of a number for each label."""
    shown = dict(zip(labels, np.asarray(values).tolist(), strict=True))
    return f"{name}, MULTILINEGRAPH, TIME_SERIES, {shown!r}"


def score(member: Any, method: str, *args: Any, value: Any = None, classes: Any = (), **kwargs: Any) -> Line:
    """A score that is reported under its name, and returned as scikit-learn's own (``value`` where names differ)."""
    expected = getattr(sk, method)(*args, **kwargs) if value is None else value
    printed = lines(member.value, expected, classes) if classes else scalar(member.value, float(expected))
    return Line(lambda: getattr(mlops.metrics, method)(*args, **kwargs), printed, answers=expected)


def _curves() -> dict[str, Line]:
    fpr, tpr, thresholds = sk.roc_curve(TRUE, CHANCES)
    precision, recall, at = sk.precision_recall_curve(TRUE, CHANCES)
    roc = f"ROC Curve, AUC: {sk.auc(fpr, tpr)}"
    recalled = "2-class Precision Recall Curve - Average Precision: "
    recalled += str(sk.average_precision_score(TRUE, CHANCES))
    rates, precisions = ("False Positive Rate", "True Positive Rate"), ("Recall", "Precision")

    def roc_text(legend: str) -> str:
        return graph_text("ROC Curve", fpr.tolist(), (legend, tpr.tolist()), titles=rates)

    def recall_text(legend: str) -> str:
        series = (legend, precision.tolist())
        return graph_text("Precision Recall Curve", recall.tolist(), series, titles=precisions)

    members = "metrics_constants.ClassificationMetrics"
    return {
        "metrics.roc_curve": Line(
            lambda: mlops.metrics.roc_curve(TRUE, CHANCES), roc_text(roc), answers=(fpr, tpr, thresholds)
        ),
        f"{members}.ROC_CURVE": Line(
            lambda: mlops.set_stat(Classification.ROC_CURVE, [tpr, fpr]),
            roc_text("True Positive Rate vs False Positive Rate"),
        ),
        f"{members}.ROC_CURVE with a legend": Line(
            lambda: mlops.set_stat(Classification.ROC_CURVE, [tpr, fpr], legend="mine"), roc_text("mine")
        ),
        "metrics.precision_recall_curve": Line(
            lambda: mlops.metrics.precision_recall_curve(TRUE, CHANCES),
            recall_text(recalled),
            answers=(precision, recall, at),
        ),
        f"{members}.PRECISION_RECALL_CURVE": Line(
            lambda: mlops.set_stat(Classification.PRECISION_RECALL_CURVE, [precision, recall]),
            recall_text("Precision vs Recall"),
        ),
    }


def _tables() -> dict[str, Line]:
    report = sk.classification_report(TRUE, GUESSED)
    confusion = sk.confusion_matrix(TRUE, GUESSED, labels=[1, 0])
    contingency = sk.cluster.contingency_matrix(CLASSES, CLUSTERS)
    measures = sk.homogeneity_completeness_v_measure(CLASSES, CLUSTERS)
    three = lines(
        "Homogeneity - Completeness - V Measure", measures, ["Homogeneity", "Completeness", "V Measure"]
    )
    report_text = (
        'Classification Report, MATRIX, INSTANT, {"0":{"precision":"0.67", "recall":"0.67", "f1-score":"0.67", '
        '"support":"3"}, "1":{"precision":"0.80", "recall":"0.80", "f1-score":"0.80", "support":"5"}, '
        '"accuracy":{"precision":"", "recall":"", "f1-score":"0.75", "support":"8"}, '
        '"macro avg":{"precision":"0.73", "recall":"0.73", "f1-score":"0.73", "support":"8"}, '
        '"weighted avg":{"precision":"0.75", "recall":"0.75", "f1-score":"0.75", "support":"8"}}'
    )
    confusion_text = table("Confusion Matrix", confusion, [1, 0], [1, 0])
    contingency_text = table("Contingency Matrix", contingency, [0, 1, 2], [0, 1, 2])
    classification, clustering = (
        "metrics_constants.ClassificationMetrics",
        "metrics_constants.ClusteringMetrics",
    )
    return {
        "metrics.classification_report": Line(
            lambda: mlops.metrics.classification_report(TRUE, GUESSED), report_text, answers=report
        ),
        f"{classification}.CLASSIFICATION_REPORT": Line(
            lambda: mlops.set_stat(Classification.CLASSIFICATION_REPORT, report), report_text
        ),
        "metrics.confusion_matrix": Line(
            lambda: mlops.metrics.confusion_matrix(TRUE, GUESSED, labels=[1, 0]),
            confusion_text,
            answers=confusion,
        ),
        f"{classification}.CONFUSION_MATRIX": Line(
            lambda: mlops.set_stat(Classification.CONFUSION_MATRIX, confusion, labels=[1, 0]), confusion_text
        ),
        f"{classification}.CONFUSION_MATRIX without labels": Line(
            lambda: mlops.set_stat(Classification.CONFUSION_MATRIX, confusion), answers=WRONG
        ),
        "metrics.cluster": Line(lambda: callable(mlops.metrics.cluster.contingency_matrix), answers=True),
        "metrics.cluster.contingency_matrix": Line(
            lambda: mlops.metrics.cluster.contingency_matrix(CLASSES, CLUSTERS),
            contingency_text,
            answers=contingency,
        ),
        f"{clustering}.CONTINGENCY_MATRIX": Line(
            lambda: mlops.set_stat(
                Clustering.CONTINGENCY_MATRIX, contingency, true_labels=[0, 1, 2], pred_labels=[0, 1, 2]
            ),
            contingency_text,
        ),
        "metrics.homogeneity_completeness_v_measure": Line(
            lambda: mlops.metrics.homogeneity_completeness_v_measure(CLASSES, CLUSTERS),
            three,
            answers=measures,
        ),
        f"{clustering}.HOMOGENEITY_COMPLETENESS_V_MEASURE": Line(
            lambda: mlops.set_stat(Clustering.HOMOGENEITY_COMPLETENESS_V_MEASURE, measures), three
        ),
    }


def _scalars() -> dict[str, Line]:
    """Each member of the enums that stands for one number."""
    named = {name.rpartition(".")[2].partition(" ")[0] for name in _curves() | _tables()}

    def reported(member: Any) -> Callable[[], Any]:
        return lambda: mlops.set_stat(member, np.float64(0.75))

    return {
        f"metrics_constants.{enum.__name__}.{member.name}": Line(reported(member), scalar(member.value, 0.75))
        for enum in (Classification, Regression, Clustering)
        for member in enum
        if member.name not in named
    }


def _scalars_of_classes() -> dict[str, Line]:
    """Each member of the enums that may stand for a number for each class or output."""
    several = [Classification.F1_SCORE, Classification.FBETA_SCORE, Classification.PRECISION_SCORE]

    def reported(member: Any, **options: Any) -> Callable[[], Any]:
        return lambda: mlops.set_stat(member, np.array([0.5, 0.25]), **options)

    found = {}
    several_outputs = [member for member in Regression if member is not Regression.MEDIAN_ABSOLUTE_ERROR]
    for member in (*several, Classification.RECALL_SCORE, *several_outputs):
        name = f"metrics_constants.{type(member).__name__}.{member.name}"
        found[f"{name} of classes"] = Line(reported(member), lines(member.value, [0.5, 0.25], ["0", "1"]))
        found[f"{name} of named classes"] = Line(
            reported(member, labels=["u", "v"]), lines(member.value, [0.5, 0.25], ["u", "v"])
        )
    return found


SCORES: Final = {
    "accuracy_score": score(Classification.ACCURACY_SCORE, "accuracy_score", TRUE, GUESSED),
    "accuracy_score not normalised": score(
        Classification.ACCURACY_SCORE, "accuracy_score", TRUE, GUESSED, normalize=False
    ),
    "auc": score(Classification.AUC, "auc", [0.0, 0.5, 1.0], [0.0, 0.75, 1.0]),
    "auc reordered": score(
        Classification.AUC, "auc", [0.5, 0.0, 1.0], [0.75, 0.0, 1.0], reorder=True, value=np.float64(0.625)
    ),
    "average_precision_score": score(
        Classification.AVERAGE_PRECISION_SCORE, "average_precision_score", TRUE, CHANCES
    ),
    "balanced_accuracy_score": score(
        Classification.BALANCED_ACCURACY_SCORE, "balanced_accuracy_score", TRUE, GUESSED, adjusted=True
    ),
    "brier_score_loss": score(Classification.BRIER_SCORE_LOSS, "brier_score_loss", TRUE, CHANCES),
    "brier_score_loss by its old name": score(
        Classification.BRIER_SCORE_LOSS,
        "brier_score_loss",
        y_true=TRUE,
        y_prob=CHANCES,
        value=sk.brier_score_loss(TRUE, CHANCES),
    ),
    "cohen_kappa_score": score(Classification.COHEN_KAPPA_SCORE, "cohen_kappa_score", TRUE, GUESSED),
    "f1_score": score(Classification.F1_SCORE, "f1_score", TRUE, GUESSED, sample_weight=WEIGHTS),
    "f1_score of each class": score(
        Classification.F1_SCORE, "f1_score", TRUE, GUESSED, average=None, classes=["0", "1"]
    ),
    "fbeta_score": score(Classification.FBETA_SCORE, "fbeta_score", TRUE, GUESSED, beta=0.5),
    "hamming_loss": score(Classification.HAMMING_LOSS, "hamming_loss", MANY_LABELS, MANY_GUESSED),
    "hinge_loss": score(Classification.HINGE_LOSS, "hinge_loss", TRUE, CHANCES),
    "jaccard_similarity_score": score(
        Classification.JACCARD_SIMILARITY_SCORE,
        "jaccard_similarity_score",
        MANY_LABELS,
        MANY_GUESSED,
        value=sk.jaccard_score(MANY_LABELS, MANY_GUESSED, average="samples"),
    ),
    "log_loss": score(Classification.LOG_LOSS, "log_loss", TRUE, CHANCES),
    "log_loss with eps": score(
        Classification.LOG_LOSS,
        "log_loss",
        TRUE,
        CHANCES,
        eps=0.25,
        value=sk.log_loss(TRUE, np.clip(CHANCES, 0.25, 0.75)),
    ),
    "matthews_corrcoef": score(
        Classification.MATTHEWS_CORRELATION_COEFFICIENT, "matthews_corrcoef", TRUE, GUESSED
    ),
    "precision_score": score(Classification.PRECISION_SCORE, "precision_score", TRUE, GUESSED),
    "recall_score": score(Classification.RECALL_SCORE, "recall_score", TRUE, GUESSED, average="macro"),
    "roc_auc_score": score(Classification.ROC_AUC_SCORE, "roc_auc_score", TRUE, CHANCES),
    "zero_one_loss": score(Classification.ZERO_ONE_LOSS, "zero_one_loss", TRUE, GUESSED),
    "explained_variance_score": score(
        Regression.EXPLAINED_VARIANCE_SCORE, "explained_variance_score", MEASURED, PREDICTED
    ),
    "mean_absolute_error": score(Regression.MEAN_ABSOLUTE_ERROR, "mean_absolute_error", MEASURED, PREDICTED),
    "mean_absolute_error of each output": score(
        Regression.MEAN_ABSOLUTE_ERROR,
        "mean_absolute_error",
        *TWO_OUTPUTS,
        multioutput="raw_values",
        classes=["0", "1"],
    ),
    "mean_squared_error": score(Regression.MEAN_SQUARED_ERROR, "mean_squared_error", MEASURED, PREDICTED),
    "mean_squared_log_error": score(
        Regression.MEAN_SQUARED_LOG_ERROR, "mean_squared_log_error", MEASURED, PREDICTED
    ),
    "median_absolute_error": score(
        Regression.MEDIAN_ABSOLUTE_ERROR, "median_absolute_error", MEASURED, PREDICTED
    ),
    "r2_score": score(Regression.R2_SCORE, "r2_score", MEASURED, PREDICTED),
    "adjusted_mutual_info_score": score(
        Clustering.ADJUSTED_MUTUAL_INFO_SCORE, "adjusted_mutual_info_score", CLASSES, CLUSTERS
    ),
    "adjusted_rand_score": score(Clustering.ADJUSTED_RAND_SCORE, "adjusted_rand_score", CLASSES, CLUSTERS),
    "calinski_harabaz_score": Line(
        lambda: mlops.metrics.calinski_harabaz_score(X=POINTS, labels=CLUSTERS),
        scalar("Calinski Harabaz Score", float(sk.calinski_harabasz_score(POINTS, CLUSTERS))),
        answers=sk.calinski_harabasz_score(POINTS, CLUSTERS),
    ),
    "completeness_score": score(Clustering.COMPLETENESS_SCORE, "completeness_score", CLASSES, CLUSTERS),
    "fowlkes_mallows_score": score(
        Clustering.FOWLKES_MALLOWS_SCORE, "fowlkes_mallows_score", CLASSES, CLUSTERS
    ),
    "homogeneity_score": score(Clustering.HOMOGENEITY_SCORE, "homogeneity_score", CLASSES, CLUSTERS),
    "mutual_info_score": score(Clustering.MUTUAL_INFO_SCORE, "mutual_info_score", CLASSES, CLUSTERS),
    "normalized_mutual_info_score": score(
        Clustering.NORMALIZED_MUTUAL_INFO_SCORE, "normalized_mutual_info_score", CLASSES, CLUSTERS
    ),
    "silhouette_score": score(Clustering.SILHOUETTE_SCORE, "silhouette_score", POINTS, CLUSTERS),
    "v_measure_score": score(Clustering.V_MEASURE_SCORE, "v_measure_score", CLASSES, CLUSTERS),
}
METRICS: Final = {
    "MLOps.metrics": Line(lambda: mlops.metrics is mlops.metrics, answers=True),
    **{f"metrics.{name}": line for name, line in SCORES.items()},
    **_curves(),
    **_tables(),
    **_scalars(),
    **_scalars_of_classes(),
    "metrics_constants.RegressionMetrics.MEDIAN_ABSOLUTE_ERROR of several outputs": Line(
        lambda: mlops.set_stat(Regression.MEDIAN_ABSOLUTE_ERROR, [0.5, 0.25]), answers=WRONG
    ),
    "metrics_constants.RegressionMetrics.R2_SCORE of a text": Line(
        lambda: mlops.set_stat(Regression.R2_SCORE, "good"), answers=WRONG
    ),
}
