"""Scores of clusterings: scikit-learn's values."""

from __future__ import annotations

from typing import Any

from parallelm.mlops._metrics.scoring import Scoring, classes_of, sklearn_metrics
from parallelm.mlops.metrics_constants import ClusteringMetrics


class ClusteringScores(Scoring):
    """Each method computes a score with scikit-learn, reports it and returns it."""

    @property
    def cluster(self) -> ClusterTables:
        """Metrics of ``sklearn.metrics.cluster``."""
        return ClusterTables(self._report)

    def adjusted_mutual_info_score(self, labels_true: Any, labels_pred: Any) -> Any:
        """Mutual information, adjusted for chance."""
        value = sklearn_metrics().adjusted_mutual_info_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.ADJUSTED_MUTUAL_INFO_SCORE, value)

    def adjusted_rand_score(self, labels_true: Any, labels_pred: Any) -> Any:
        """Rand index, adjusted for chance."""
        value = sklearn_metrics().adjusted_rand_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.ADJUSTED_RAND_SCORE, value)

    def calinski_harabaz_score(self, X: Any, labels: Any) -> Any:  # noqa: N803 - scikit-learn's name
        """Dispersion between clusters over that within them (scikit-learn's ``calinski_harabasz_score``)."""
        value = sklearn_metrics().calinski_harabasz_score(X, labels)
        return self._scored(ClusteringMetrics.CALINSKI_HARABAZ_SCORE, value)

    def completeness_score(self, labels_true: Any, labels_pred: Any) -> Any:
        """Whether each class is in one cluster."""
        value = sklearn_metrics().completeness_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.COMPLETENESS_SCORE, value)

    def fowlkes_mallows_score(self, labels_true: Any, labels_pred: Any, sparse: bool = False) -> Any:  # noqa: ARG002 - dropped by scikit-learn; it never changed the value
        """Geometric mean of pairwise precision and recall."""
        value = sklearn_metrics().fowlkes_mallows_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.FOWLKES_MALLOWS_SCORE, value)

    def homogeneity_completeness_v_measure(self, labels_true: Any, labels_pred: Any) -> Any:
        """Homogeneity, completeness and V measure; reported as three lines."""
        value = sklearn_metrics().homogeneity_completeness_v_measure(labels_true, labels_pred)
        self._report(ClusteringMetrics.HOMOGENEITY_COMPLETENESS_V_MEASURE, value)
        return value

    def homogeneity_score(self, labels_true: Any, labels_pred: Any) -> Any:
        """Whether each cluster holds one class."""
        value = sklearn_metrics().homogeneity_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.HOMOGENEITY_SCORE, value)

    def mutual_info_score(self, labels_true: Any, labels_pred: Any, contingency: Any = None) -> Any:
        """Mutual information."""
        value = sklearn_metrics().mutual_info_score(labels_true, labels_pred, contingency=contingency)
        return self._scored(ClusteringMetrics.MUTUAL_INFO_SCORE, value)

    def normalized_mutual_info_score(self, labels_true: Any, labels_pred: Any) -> Any:
        """Mutual information, scaled to 0..1."""
        value = sklearn_metrics().normalized_mutual_info_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.NORMALIZED_MUTUAL_INFO_SCORE, value)

    def silhouette_score(
        self,
        X: Any,  # noqa: N803 - scikit-learn's name
        labels: Any,
        metric: Any = "euclidean",
        sample_size: int | None = None,
        random_state: Any = None,
        **kwds: Any,
    ) -> Any:
        """Mean silhouette; ``**kwds`` go to the metric."""
        value = sklearn_metrics().silhouette_score(
            X, labels, metric=metric, sample_size=sample_size, random_state=random_state, **kwds
        )
        return self._scored(ClusteringMetrics.SILHOUETTE_SCORE, value)

    def v_measure_score(self, labels_true: Any, labels_pred: Any) -> Any:
        """Harmonic mean of homogeneity and completeness."""
        value = sklearn_metrics().v_measure_score(labels_true, labels_pred)
        return self._scored(ClusteringMetrics.V_MEASURE_SCORE, value)


class ClusterTables(Scoring):
    """The metrics of ``sklearn.metrics.cluster``."""

    def contingency_matrix(self, labels_true: Any, labels_pred: Any) -> Any:
        """Number of samples of each class (rows) in each cluster (columns); reported as a table."""
        value = sklearn_metrics().cluster.contingency_matrix(labels_true, labels_pred)
        self._report(
            ClusteringMetrics.CONTINGENCY_MATRIX,
            value,
            true_labels=classes_of(labels_true),
            pred_labels=classes_of(labels_pred),
        )
        return value
