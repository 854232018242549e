r"""Predict each day's late arrivals with the model that the platform has deployed to this node.

    printf '2013-06-01\n2013-06-02\n' | python predict.py

reads days from standard input. Reports each prediction, and how alike the flights are to those that the model was trained
on. A day later, when the flights have arrived, it reports which were late: how good the predictions were is worked out by
``mcenter actuals evaluate`` and ``mcenter models quality``. Three nodes run it: one predicts all flights, a canary every
fourth of them (``--every 4``), and one those of an airport (``--origin JFK``).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np
from flights import FIRST_MODEL, LATE_MINUTES, OBSERVED, WEATHER, Flights, noon
from released_days import released_days

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.mlops.models.model import Model

MODEL_DEADLINE_S = 120.0
DISTRIBUTION_DAYS = 14
"""Days of flights for the distribution: the weather of a few days does not resemble that of two months."""
PROBABILITIES = np.linspace(0.0, 1.0, 21).round(2)
"""Edges of the histogram of a day's predictions: canary and live model are compared by it."""
OUTCOME = "late"
"""Under this name predictions meet what became of them."""


@dataclass(frozen=True)
class Part:
    """The flights that a node predicts, and when it waits for the month's model."""

    every: int = 1
    origin: str = ""

    def of(self, features: pd.DataFrame) -> pd.DataFrame:
        """The node's flights of a day."""
        chosen = features[features["origin"] == self.origin] if self.origin else features
        return chosen.iloc[:: self.every]

    @property
    def is_all(self) -> bool:
        """Whether it predicts every flight."""
        return self.every == 1 and not self.origin

    def is_model_due(self, today: date) -> bool:
        """Whether the month's model comes today: the first one to all flights, later ones to the canary.

        Elsewhere a person, or the canary's verdict, decides when a model comes.
        """
        return today.day == 1 and (
            (self.is_all and today == FIRST_MODEL) or (self.every > 1 and today > FIRST_MODEL)
        )


class Predictor:
    """The deployed model, and what it predicts."""

    def __init__(self, flights: Flights, part: Part) -> None:
        self._flights = flights
        self._part = part
        self._model: Model | None = None
        self._classifier = None

    def work(self, today: date) -> None:
        """Report yesterday's arrivals, take the deployed model, predict today's flights."""
        if self._part.is_all and today > FIRST_MODEL:
            self._report_arrivals(today - timedelta(days=1))
        with mlops.event_time(noon(today)):
            self._take_model(today)
            if self._classifier is None:
                mlops.set_stat("flights without a model", len(self._part.of(self._flights.scheduled(today))))
            else:
                self._predict(today)

    def _take_model(self, today: date) -> None:
        # Without a time limit to wait for: the model of a roll-back, or one that a person has deployed.
        model = wait_for_model_of(today) if self._part.is_model_due(today) else mlops.wait_for_model(0)
        if model is None and self._model is None:
            mlops.set_event("no model is deployed yet", type="GenericEvent", data={"day": today.isoformat()})
        elif model is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.joblib"
                model.download(str(path))
                self._classifier = joblib.load(path)
            self._model = model
            print(f"{today}: takes {model.metadata.name!r}")

    def _predict(self, today: date) -> None:
        features = self._part.of(self._flights.scheduled(today))
        started = time.perf_counter()
        late = self._classifier.predict_proba(features)[:, 1]
        latency_ms = (time.perf_counter() - started) * 1_000
        print(f"{today}: {len(late)} flights predicted, {(late > 0.5).mean():.1%} of them late")
        mlops.predictions(
            flight_ids(features),
            late,
            features[["carrier", "origin"]],
            outcome=OUTCOME,
            kind="score",
            timestamp=departures(features, today),
        )
        mlops.set_stat(PredefinedStats.PREDICTIONS_COUNT, len(late))
        mlops.set_stat("share predicted late", (late > 0.5).mean())
        mlops.set_stat("mean late probability", late.mean())
        mlops.set_stat("prediction latency ms", latency_ms)
        if not self._part.origin:
            flights, edges = np.histogram(late, PROBABILITIES)
            histogram = BarGraph().name(PredefinedStats.PREDICTION_HISTOGRAM).cols(edges.tolist())
            mlops.set_stat(histogram.data(flights.tolist()).as_continuous())
            recent = self._flights.scheduled(today - timedelta(days=DISTRIBUTION_DAYS - 1), today)
            mlops.set_data_distribution_stat(self._part.of(recent)[OBSERVED])
        if self._part.is_all:
            mlops.set_stat(
                MultiLineGraph().name("weather").labels(WEATHER).data(features[WEATHER].mean().tolist())
            )

    def _report_arrivals(self, day: date) -> None:
        """Which flights were late, of those that have arrived; of the others it will never be known."""
        delay = self._flights.outcome(day)["arr_delay"].dropna()
        mlops.actuals(flight_ids(delay), delay >= LATE_MINUTES, outcome=OUTCOME, timestamp=noon(day))


def flight_ids(flights: pd.DataFrame | pd.Series) -> list[str]:
    """Ids of flights: their rows in the data of the year."""
    return [f"2013-{row}" for row in flights.index]


def departures(features: pd.DataFrame, day: date) -> list[datetime]:
    """The hours of departure: how good a model is is compared hour by hour."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [midnight + timedelta(hours=minute // 60) for minute in features["minute_of_day"].tolist()]


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", metavar="N", type=int, default=1, help="predict every Nth flight")
    parser.add_argument("--origin", metavar="AIRPORT", default="", help="predict flights from there only")
    arguments = parser.parse_args()
    predictor = Predictor(Flights(), Part(arguments.every, arguments.origin))
    mlops.init()
    # If the platform does not answer in time, yesterday's model stays in use.
    mlops.suppress_connection_errors(True)
    for day in released_days():
        predictor.work(day)
    mlops.done()


if __name__ == "__main__":
    main()
