"""An XGBoost trainer that reports while it trains: is this scanned digit an 8? Needs xgboost, or the smaller xgboost-cpu."""

import tempfile
from pathlib import Path

import numpy as np
import xgboost
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from parallelm.mlops import StatCategory, mlops
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph

PARAMETERS = {
    "objective": "binary:logistic",
    "eval_metric": ["logloss", "auc"],
    "max_depth": 3,
    "eta": 0.3,
    "seed": 7,
    "nthread": 1,
}
ROUNDS = 20


class ReportRounds(xgboost.callback.TrainingCallback):
    """Reports the figures of each round, through handles of series, which are the cheapest way in a loop."""

    def __init__(self) -> None:
        self._series = {}

    def after_iteration(self, model, epoch, evals_log) -> bool:  # noqa: ARG002 - XGBoost's names
        """Report one sample for each figure."""
        for figure, history in evals_log["validation"].items():
            if figure not in self._series:
                self._series[figure] = mlops.series(f"validation {figure}")
            self._series[figure].set(history[-1])
        return False


def main() -> None:
    """Train with early stopping, report, publish."""
    mlops.init()
    digits = load_digits(as_frame=True)
    is_eight = (digits.target == 8).astype(int)
    train, test, y_train, y_test = train_test_split(digits.data, is_eight, test_size=0.3, random_state=7)
    validation = xgboost.DMatrix(test, y_test)
    booster = xgboost.train(
        PARAMETERS,
        xgboost.DMatrix(train, y_train),
        ROUNDS,
        evals=[(validation, "validation")],
        early_stopping_rounds=5,
        verbose_eval=False,
        callbacks=[ReportRounds()],
    )
    for name in ("max_depth", "eta"):
        mlops.set_stat(name, PARAMETERS[name], StatCategory.CONFIG)
    mlops.set_stat("best round", booster.best_iteration)
    report_predictions(y_test, booster.predict(validation))
    publish(booster, train)
    mlops.done()


def report_predictions(truth, chance) -> None:
    """Number, distribution and quality of the predictions."""
    mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(chance))
    counts, edges = np.histogram(chance, np.linspace(0, 1, 11))
    histogram = BarGraph().name(PredefinedStats.PREDICTION_HISTOGRAM).cols(edges.tolist())
    mlops.set_stat(histogram.data(counts.tolist()).as_continuous())
    guess = (chance > 0.5).astype(int)
    mlops.metrics.roc_auc_score(truth, chance)
    mlops.metrics.log_loss(truth, chance)
    mlops.metrics.f1_score(truth, guess)
    mlops.metrics.confusion_matrix(truth, guess, labels=[0, 1])
    mlops.set_stat("mean chance", chance.mean())  # a numpy float32


def publish(booster, train) -> None:
    """The model, the distribution of its training data, and its most important features."""
    model = mlops.Model("eights", ModelFormat.XGBOOST, "is it an 8?")
    gains = booster.get_score(importance_type="gain")
    model.set_stat("features used", len(gains))
    model.feature_importance(
        feature_importance_vector=list(gains.values()),
        feature_names=list(gains),
        num_significant_features=5,
    )
    model.set_data_distribution_stat(train[list(gains)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "eights.ubj")
        booster.save_model(path)
        model.set_model_path(path)
        mlops.publish_model(model)


if __name__ == "__main__":
    main()
