"""Scores of classifiers: scikit-learn's values, under the names and arguments that components use.

``**kwargs`` are passed to scikit-learn unchanged (``zero_division``, ``multi_class``).
"""

from __future__ import annotations

from typing import Any, Final

from parallelm.mlops._metrics.scoring import Scoring, classes_of, sklearn_metrics
from parallelm.mlops.metrics_constants import ClassificationMetrics

_CLASSIC_EPS: Final = 1e-15


class ClassificationScores(Scoring):
    """Each method computes a score with scikit-learn, reports it and returns it."""

    def accuracy_score(
        self, y_true: Any, y_pred: Any, normalize: bool = True, sample_weight: Any = None
    ) -> Any:
        """Share (or, not normalised, number) of right predictions."""
        value = sklearn_metrics().accuracy_score(
            y_true, y_pred, normalize=normalize, sample_weight=sample_weight
        )
        return self._scored(ClassificationMetrics.ACCURACY_SCORE, value)

    def auc(self, x: Any, y: Any, reorder: bool | str = "deprecated") -> Any:
        """Area under a curve; ``reorder=True`` sorts the points by x first."""
        if reorder is True:
            import numpy as np

            order = np.lexsort((y, x))
            x, y = np.asarray(x)[order], np.asarray(y)[order]
        return self._scored(ClassificationMetrics.AUC, sklearn_metrics().auc(x, y))

    def average_precision_score(
        self, y_true: Any, y_score: Any, average: str | None = "macro", sample_weight: Any = None
    ) -> Any:
        """Average precision."""
        value = sklearn_metrics().average_precision_score(
            y_true, y_score, average=average, sample_weight=sample_weight
        )
        return self._lines(ClassificationMetrics.AVERAGE_PRECISION_SCORE, value)

    def balanced_accuracy_score(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, adjusted: bool = False
    ) -> Any:
        """Mean recall of the classes."""
        value = sklearn_metrics().balanced_accuracy_score(
            y_true, y_pred, sample_weight=sample_weight, adjusted=adjusted
        )
        return self._scored(ClassificationMetrics.BALANCED_ACCURACY_SCORE, value)

    def brier_score_loss(
        self, y_true: Any, y_prob: Any, sample_weight: Any = None, pos_label: Any = None
    ) -> Any:
        """Mean squared error of probabilities."""
        value = sklearn_metrics().brier_score_loss(
            y_true, y_prob, sample_weight=sample_weight, pos_label=pos_label
        )
        return self._scored(ClassificationMetrics.BRIER_SCORE_LOSS, value)

    def classification_report(
        self,
        y_true: Any,
        y_pred: Any,
        labels: Any = None,
        target_names: Any = None,
        sample_weight: Any = None,
        digits: int = 2,
        **kwargs: Any,
    ) -> Any:
        """Precision, recall and F1 of each class, as text; reported as a table."""
        value = sklearn_metrics().classification_report(
            y_true,
            y_pred,
            labels=labels,
            target_names=target_names,
            sample_weight=sample_weight,
            digits=digits,
            **kwargs,
        )
        self._report(ClassificationMetrics.CLASSIFICATION_REPORT, value)
        return value

    def cohen_kappa_score(
        self, y1: Any, y2: Any, labels: Any = None, weights: str | None = None, sample_weight: Any = None
    ) -> Any:
        """Agreement of two raters."""
        value = sklearn_metrics().cohen_kappa_score(
            y1, y2, labels=labels, weights=weights, sample_weight=sample_weight
        )
        return self._scored(ClassificationMetrics.COHEN_KAPPA_SCORE, value)

    def confusion_matrix(self, y_true: Any, y_pred: Any, labels: Any, sample_weight: Any = None) -> Any:
        """Confusion matrix; reported as a table, which needs ``labels``."""
        value = sklearn_metrics().confusion_matrix(y_true, y_pred, labels=labels, sample_weight=sample_weight)
        self._report(ClassificationMetrics.CONFUSION_MATRIX, value, labels=labels)
        return value

    def f1_score(
        self,
        y_true: Any,
        y_pred: Any,
        labels: Any = None,
        pos_label: Any = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """F1; one for each class with ``average=None``."""
        value = sklearn_metrics().f1_score(
            y_true,
            y_pred,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            **kwargs,
        )
        return self._of_classes(ClassificationMetrics.F1_SCORE, value, y_true, y_pred, labels)

    def fbeta_score(
        self,
        y_true: Any,
        y_pred: Any,
        beta: float,
        labels: Any = None,
        pos_label: Any = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """F-beta; one for each class with ``average=None``."""
        value = sklearn_metrics().fbeta_score(
            y_true,
            y_pred,
            beta=beta,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            **kwargs,
        )
        return self._of_classes(ClassificationMetrics.FBETA_SCORE, value, y_true, y_pred, labels)

    def hamming_loss(self, y_true: Any, y_pred: Any, labels: Any = None, sample_weight: Any = None) -> Any:
        """Share of wrong labels; ``labels`` lists all labels, when multi-label data do not contain every one."""
        value = sklearn_metrics().hamming_loss(y_true, y_pred, sample_weight=sample_weight)
        if labels is not None and _is_multilabel(y_true):
            value = value * len(classes_of(y_true)) / len(labels)
        return self._scored(ClassificationMetrics.HAMMING_LOSS, value)

    def hinge_loss(
        self, y_true: Any, pred_decision: Any, labels: Any = None, sample_weight: Any = None
    ) -> Any:
        """Mean hinge loss."""
        value = sklearn_metrics().hinge_loss(
            y_true, pred_decision, labels=labels, sample_weight=sample_weight
        )
        return self._scored(ClassificationMetrics.HINGE_LOSS, value)

    def jaccard_similarity_score(
        self, y_true: Any, y_pred: Any, normalize: bool = True, sample_weight: Any = None
    ) -> Any:
        """Mean (or, not normalised, sum) of each sample's Jaccard similarity; without multiple labels this is accuracy."""
        metrics = sklearn_metrics()
        if not _is_multilabel(y_true):
            value = metrics.accuracy_score(y_true, y_pred, normalize=normalize, sample_weight=sample_weight)
        else:
            import numpy as np

            value = metrics.jaccard_score(
                y_true, y_pred, average="samples", sample_weight=sample_weight, zero_division=1
            )
            if not normalize:
                value *= np.shape(y_true)[0] if sample_weight is None else np.sum(sample_weight)
        return self._scored(ClassificationMetrics.JACCARD_SIMILARITY_SCORE, value)

    def log_loss(
        self,
        y_true: Any,
        y_pred: Any,
        eps: float = _CLASSIC_EPS,
        normalize: bool = True,
        sample_weight: Any = None,
        labels: Any = None,
    ) -> Any:
        """Cross-entropy. Probabilities are clipped to ``eps`` … 1 - ``eps``; by default as in scikit-learn."""
        shown = y_pred if eps == _CLASSIC_EPS else _clipped(y_pred, eps)
        value = sklearn_metrics().log_loss(
            y_true, shown, normalize=normalize, sample_weight=sample_weight, labels=labels
        )
        return self._scored(ClassificationMetrics.LOG_LOSS, value)

    def matthews_corrcoef(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Matthews correlation coefficient."""
        value = sklearn_metrics().matthews_corrcoef(y_true, y_pred, sample_weight=sample_weight)
        return self._scored(ClassificationMetrics.MATTHEWS_CORRELATION_COEFFICIENT, value)

    def precision_recall_curve(
        self,
        y_true: Any,
        probas_pred: Any,
        pos_label: Any = None,
        average: str | None = "macro",
        sample_weight: Any = None,
    ) -> Any:
        """Precision, recall and thresholds; reported as a graph whose legend shows the average precision."""
        metrics = sklearn_metrics()
        precision, recall, thresholds = metrics.precision_recall_curve(
            y_true, probas_pred, pos_label=pos_label, sample_weight=sample_weight
        )
        mean = metrics.average_precision_score(
            y_true,
            probas_pred,
            average=average,
            sample_weight=sample_weight,
            pos_label=1 if pos_label is None else pos_label,
        )
        legend = f"{len(classes_of(y_true))}-class Precision Recall Curve - Average Precision: {mean}"
        self._report(ClassificationMetrics.PRECISION_RECALL_CURVE, [precision, recall], legend=legend)
        return precision, recall, thresholds

    def precision_score(
        self,
        y_true: Any,
        y_pred: Any,
        labels: Any = None,
        pos_label: Any = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Precision; one for each class with ``average=None``."""
        value = sklearn_metrics().precision_score(
            y_true,
            y_pred,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            **kwargs,
        )
        return self._of_classes(ClassificationMetrics.PRECISION_SCORE, value, y_true, y_pred, labels)

    def recall_score(
        self,
        y_true: Any,
        y_pred: Any,
        labels: Any = None,
        pos_label: Any = 1,
        average: str | None = "binary",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Recall; one for each class with ``average=None``."""
        value = sklearn_metrics().recall_score(
            y_true,
            y_pred,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            **kwargs,
        )
        return self._of_classes(ClassificationMetrics.RECALL_SCORE, value, y_true, y_pred, labels)

    def roc_auc_score(
        self,
        y_true: Any,
        y_score: Any,
        average: str | None = "macro",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Area under the ROC curve."""
        value = sklearn_metrics().roc_auc_score(
            y_true, y_score, average=average, sample_weight=sample_weight, **kwargs
        )
        return self._lines(ClassificationMetrics.ROC_AUC_SCORE, value)

    def roc_curve(
        self,
        y_true: Any,
        y_score: Any,
        pos_label: Any = None,
        sample_weight: Any = None,
        drop_intermediate: bool = True,
    ) -> Any:
        """False and true positive rates and thresholds; reported as a graph whose legend shows the area under the curve."""
        metrics = sklearn_metrics()
        fpr, tpr, thresholds = metrics.roc_curve(
            y_true,
            y_score,
            pos_label=pos_label,
            sample_weight=sample_weight,
            drop_intermediate=drop_intermediate,
        )
        legend = f"ROC Curve, AUC: {metrics.auc(fpr, tpr)}"
        self._report(ClassificationMetrics.ROC_CURVE, [tpr, fpr], legend=legend)
        return fpr, tpr, thresholds

    def zero_one_loss(
        self, y_true: Any, y_pred: Any, normalize: bool = True, sample_weight: Any = None
    ) -> Any:
        """Share (or, not normalised, number) of wrong predictions."""
        value = sklearn_metrics().zero_one_loss(
            y_true, y_pred, normalize=normalize, sample_weight=sample_weight
        )
        return self._scored(ClassificationMetrics.ZERO_ONE_LOSS, value)

    def _of_classes(
        self, member: ClassificationMetrics, value: Any, y_true: Any, y_pred: Any, labels: Any
    ) -> Any:
        if not hasattr(value, "__len__"):
            return self._scored(member, value)
        return self._scored(member, value, classes_of(y_true, y_pred) if labels is None else labels)


def _is_multilabel(labels: Any) -> bool:
    from sklearn.utils.multiclass import type_of_target

    return str(type_of_target(labels)).startswith("multilabel")


def _clipped(probabilities: Any, eps: float) -> Any:
    import numpy as np

    clipped = np.clip(np.asarray(probabilities, dtype=np.float64), eps, 1 - eps)
    several_columns = clipped.ndim > 1 and clipped.shape[1] > 1
    return clipped / clipped.sum(axis=1, keepdims=True) if several_columns else clipped
