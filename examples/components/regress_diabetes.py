"""A scikit-learn regression, cross-validated: how far off is a forecast of the progress of diabetes?"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from parallelm.mlops import mlops
from parallelm.mlops.metrics_constants import RegressionMetrics
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph

FOLDS = 5
RESIDUAL_EDGES = [-np.inf, -100, -50, 0, 50, 100, np.inf]


def main() -> None:
    """Forecast every patient from the other folds; report each fold and the total."""
    mlops.init()
    patients, progress = load_diabetes(return_X_y=True, as_frame=True)
    forecast = np.zeros(len(progress))
    for train, test in KFold(FOLDS, shuffle=True, random_state=7).split(patients):
        ridge = Ridge(alpha=0.1).fit(patients.iloc[train], progress.iloc[train])
        forecast[test] = ridge.predict(patients.iloc[test])
        error = np.abs(forecast[test] - progress.iloc[test])
        # One more point on each line, for each fold.
        mlops.set_stat(
            MultiLineGraph()
            .name("absolute error")
            .labels(["mean", "median", "worst"])
            .data([error.mean(), error.median(), error.max()])
        )

    mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(forecast))
    report_metrics(progress, forecast)
    report_residuals(progress, forecast)
    mlops.set_data_distribution_stat(patients)
    mlops.done()


def report_metrics(truth, forecast) -> None:
    """All six metrics of scikit-learn, and one value of our own under its standard name."""
    metrics = mlops.metrics
    metrics.explained_variance_score(truth, forecast)
    metrics.mean_absolute_error(truth, forecast)
    metrics.mean_squared_error(truth, forecast)
    metrics.mean_squared_log_error(truth, forecast)
    metrics.median_absolute_error(truth, forecast)
    r2 = metrics.r2_score(truth, forecast)
    rows, features = len(truth), 10
    adjusted = 1 - (1 - r2) * (rows - 1) / (rows - features - 1)
    mlops.set_stat(RegressionMetrics.R2_SCORE, [r2, adjusted], labels=["plain", "adjusted"])
    if r2 < 0.3:
        mlops.health_alert("poor fit", f"the forecast explains {r2:.0%} of the variance", {"r2": r2})


def report_residuals(truth, forecast) -> None:
    """A histogram of the residuals, and the forecast beside the truth."""
    residuals = truth - forecast
    counts, _ = np.histogram(residuals, RESIDUAL_EDGES)
    mlops.set_stat(BarGraph().name("residuals").cols(RESIDUAL_EDGES).data(counts.tolist()).as_continuous())
    order = np.argsort(truth.to_numpy())[::20]
    mlops.set_stat(
        Graph()
        .name("forecast and truth")
        .x_title("progress")
        .y_title("forecast")
        .set_continuous()
        .set_x_series(truth.to_numpy()[order].tolist())
        .add_y_series("forecast", forecast[order].tolist())
        .annotate("mean", x=float(truth.mean()))
    )


if __name__ == "__main__":
    main()
