"""The metrics that ``set_stat`` accepts by name; each value is the name of the reported statistic."""

from __future__ import annotations

from enum import Enum


class ClassificationMetrics(Enum):
    """Metrics of classifiers."""

    ACCURACY_SCORE = "Accuracy Score"
    AUC = "AUC(Area Under the Curve)"
    AVERAGE_PRECISION_SCORE = "Average Precision Score"
    BALANCED_ACCURACY_SCORE = "Balanced Accuracy Score"
    BRIER_SCORE_LOSS = "Brier Score Loss"
    CLASSIFICATION_REPORT = "Classification Report"
    COHEN_KAPPA_SCORE = "Cohen Kappa Score"
    CONFUSION_MATRIX = "Confusion Matrix"
    F1_SCORE = "F1 Score"
    FBETA_SCORE = "F-beta Score"
    HAMMING_LOSS = "Hamming Loss"
    HINGE_LOSS = "Hinge Loss"
    JACCARD_SIMILARITY_SCORE = "Jaccard Similarity Score"
    LOG_LOSS = "Log Loss"
    MATTHEWS_CORRELATION_COEFFICIENT = "Matthews Correlation Coefficient"
    PRECISION_RECALL_CURVE = "Precision Recall Curve"
    PRECISION_SCORE = "Precision Score"
    RECALL_SCORE = "Recall Score"
    ROC_AUC_SCORE = "ROC AUC Score"
    ROC_CURVE = "ROC Curve"
    ZERO_ONE_LOSS = "Zero One Loss"


class RegressionMetrics(Enum):
    """Metrics of regressors."""

    EXPLAINED_VARIANCE_SCORE = "Explained Variance Score"
    MEAN_ABSOLUTE_ERROR = "Mean Absolute Error"
    MEAN_SQUARED_ERROR = "Mean Squared Error"
    MEAN_SQUARED_LOG_ERROR = "Mean Squared Log Error"
    MEDIAN_ABSOLUTE_ERROR = "Median Absolute Error"
    R2_SCORE = "R2 Score"


class ClusteringMetrics(Enum):
    """Metrics of clusterings."""

    ADJUSTED_MUTUAL_INFO_SCORE = "Adjusted Mutual Info Score"
    ADJUSTED_RAND_SCORE = "Adjusted Rand Score"
    CALINSKI_HARABAZ_SCORE = "Calinski Harabaz Score"
    COMPLETENESS_SCORE = "Completeness Score"
    CONTINGENCY_MATRIX = "Contingency Matrix"
    FOWLKES_MALLOWS_SCORE = "Fowlkes Mallows Score"
    HOMOGENEITY_COMPLETENESS_V_MEASURE = "Homogeneity - Completeness - V Measure"
    HOMOGENEITY_SCORE = "Homogeneity Score"
    MUTUAL_INFO_SCORE = "Mutual Info Score"
    NORMALIZED_MUTUAL_INFO_SCORE = "Normalized Mutual Info Score"
    SILHOUETTE_SCORE = "Silhouette Score"
    V_MEASURE_SCORE = "V Measure Score"
