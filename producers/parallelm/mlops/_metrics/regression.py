"""Scores of regressors: scikit-learn's values. ``multioutput="raw_values"`` reports a line for each output."""

from __future__ import annotations

from typing import Any

from parallelm.mlops._metrics.scoring import Scoring, sklearn_metrics
from parallelm.mlops.metrics_constants import RegressionMetrics


class RegressionScores(Scoring):
    """Each method computes a score with scikit-learn, reports it and returns it."""

    def explained_variance_score(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, multioutput: Any = "uniform_average"
    ) -> Any:
        """Share of the variance that is explained."""
        value = sklearn_metrics().explained_variance_score(
            y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
        )
        return self._scored(RegressionMetrics.EXPLAINED_VARIANCE_SCORE, value)

    def mean_absolute_error(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, multioutput: Any = "uniform_average"
    ) -> Any:
        """Mean absolute error."""
        value = sklearn_metrics().mean_absolute_error(
            y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
        )
        return self._scored(RegressionMetrics.MEAN_ABSOLUTE_ERROR, value)

    def mean_squared_error(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, multioutput: Any = "uniform_average"
    ) -> Any:
        """Mean squared error."""
        value = sklearn_metrics().mean_squared_error(
            y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
        )
        return self._scored(RegressionMetrics.MEAN_SQUARED_ERROR, value)

    def mean_squared_log_error(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, multioutput: Any = "uniform_average"
    ) -> Any:
        """Mean squared error of logarithms."""
        value = sklearn_metrics().mean_squared_log_error(
            y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
        )
        return self._scored(RegressionMetrics.MEAN_SQUARED_LOG_ERROR, value)

    def median_absolute_error(self, y_true: Any, y_pred: Any) -> Any:
        """Median absolute error."""
        return self._scored(
            RegressionMetrics.MEDIAN_ABSOLUTE_ERROR, sklearn_metrics().median_absolute_error(y_true, y_pred)
        )

    def r2_score(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, multioutput: Any = "uniform_average"
    ) -> Any:
        """Coefficient of determination."""
        value = sklearn_metrics().r2_score(
            y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
        )
        return self._scored(RegressionMetrics.R2_SCORE, value)
