"""``mlops.metrics``: scikit-learn's metrics, computed, reported and returned in one call."""

from __future__ import annotations

from parallelm.mlops._metrics.classification import ClassificationScores
from parallelm.mlops._metrics.clustering import ClusteringScores
from parallelm.mlops._metrics.regression import RegressionScores


class MLOpsMetrics(ClassificationScores, RegressionScores, ClusteringScores):
    """Every metric of ``ClassificationMetrics``, ``RegressionMetrics`` and ``ClusteringMetrics``, named as in scikit-learn.

    Takes the callable that reports, which has the signature of ``set_stat``. scikit-learn is imported at the first call;
    its exceptions pass through.
    """
