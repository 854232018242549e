r"""Predict each day's late arrivals with the model that the platform has deployed to this node.

    printf '2013-06-01\n2013-06-02\n' | python predict.py

reads days from standard input. Reports what it predicted, how alike the flights are to those that the model was trained
on, and, a day later, when the flights have arrived, how good the predictions were.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import pandas as pd
from flights import FIRST_MODEL, LATE_MINUTES, OBSERVED, WEATHER, Flights, noon
from released_days import released_days

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph

if TYPE_CHECKING:
    from parallelm.mlops.models.model import Model

MODEL_DEADLINE_S = 120.0
QUALITY_DAYS = 7
"""Days of predictions for AUC and accuracy: the weather of a single day varies too little to rank flights."""
DISTRIBUTION_DAYS = 3
"""Days of flights for the distribution: the weather of a single day does not resemble a month's."""


class Predictor:
    """The deployed model, and the predictions for flights that have not arrived yet."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._model: Model | None = None
        self._classifier = None
        self._scores: dict[date, pd.Series] = {}
        """Late probability of each flight by day, since the model was deployed."""

    def work(self, today: date) -> None:
        """Report yesterday's quality, take the deployed model, predict today's flights."""
        yesterday = today - timedelta(days=1)
        if yesterday in self._scores:
            with mlops.event_time(noon(yesterday)):
                self._report_quality(yesterday)
        with mlops.event_time(noon(today)):
            self._take_model(today)
            if self._classifier is None:
                mlops.set_stat("flights without a model", len(self._flights.scheduled(today)))
            else:
                self._predict(today)

    def _take_model(self, today: date) -> None:
        # Without a time limit to wait for: the model of a roll-back, or one that a person has deployed.
        model = wait_for_model_of(today) if is_model_due(today) else mlops.wait_for_model(0)
        if model is None and self._model is None:
            mlops.set_event("no model is deployed yet", type="GenericEvent", data={"day": today.isoformat()})
        elif model is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.joblib"
                model.download(str(path))
                self._classifier = joblib.load(path)
            self._model, self._scores = model, {}

    def _predict(self, today: date) -> None:
        features = self._flights.scheduled(today)
        started = time.perf_counter()
        late = self._classifier.predict_proba(features)[:, 1]
        latency_ms = (time.perf_counter() - started) * 1_000
        self._scores[today] = pd.Series(late, index=features.index)
        mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(late))
        mlops.set_stat("share predicted late", (late > 0.5).mean())
        mlops.set_stat("mean late probability", late.mean())
        mlops.set_stat("prediction latency ms", latency_ms)
        mlops.set_stat(
            MultiLineGraph().name("weather").labels(WEATHER).data(features[WEATHER].mean().tolist())
        )
        recent = self._flights.scheduled(today - timedelta(days=DISTRIBUTION_DAYS - 1), today)
        mlops.set_data_distribution_stat(recent[OBSERVED])

    def _report_quality(self, yesterday: date) -> None:
        days = [yesterday - timedelta(days=n) for n in range(QUALITY_DAYS)]
        scores = pd.concat([self._scores[day] for day in days if day in self._scores])
        delay = self._flights.outcome(days[-1], yesterday)["arr_delay"].dropna()
        scores = scores[scores.index.intersection(delay.index)]
        late = delay[scores.index] >= LATE_MINUTES
        if 0 < late.sum() < len(late):
            mlops.metrics.roc_auc_score(late, scores)
            mlops.metrics.accuracy_score(late, scores > 0.5)


def is_model_due(today: date) -> bool:
    """Whether a new model is trained today."""
    return today.day == 1 and today >= FIRST_MODEL


def wait_for_model_of(today: date) -> Model:
    """The month's model, once the platform has deployed it to this node; raises ``TimeoutError`` at the deadline."""
    month = f"{today:%Y-%m}"
    model = mlops.wait_for_model(MODEL_DEADLINE_S, annotations={"month": month}, histograms=True)
    if model is None:
        raise TimeoutError(
            f"the platform has not asked this node to take a model of {month} within {MODEL_DEADLINE_S:.0f} s; "
            "see `mcenter deployments list` and the log of the processors"
        )
    return model


def main() -> None:
    """Process the days on standard input."""
    predictor = Predictor(Flights())
    mlops.init()
    # If the platform does not answer in time, yesterday's model stays in use.
    mlops.suppress_connection_errors(True)
    for day in released_days():
        predictor.work(day)
    mlops.done()


if __name__ == "__main__":
    main()
