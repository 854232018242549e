"""``mlops.metrics``: scikit-learn's metrics, computed, reported and returned in one call."""

from __future__ import annotations

from parallelm.mlops._metrics.classification import ClassificationScores
from parallelm.mlops._metrics.clustering import ClusteringScores
from parallelm.mlops._metrics.regression import RegressionScores


class MLOpsMetrics(ClassificationScores, RegressionScores, ClusteringScores):
    """Every metric of ``ClassificationMetrics``, ``RegressionMetrics`` and ``ClusteringMetrics``, named as in scikit-learn.

    Made with the callable that reports: it is called as ``set_stat`` is. scikit-learn is imported at the first call;
    its own errors pass through.
    """
