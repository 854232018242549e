"""Train a model of late arrivals on the first of each month, and publish it.

    echo 2013-06-01 | python train.py

reads days from standard input and works on those that are a month's first. Stand-alone it prints its reports; under
MCenter they go to the platform, whose model policy decides what becomes of the model.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
from flights import FEATURES, FIRST_MODEL, LATE_MINUTES, OBSERVED, WEATHER, Flights, noon
from released_days import released_days
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance

from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat

if TYPE_CHECKING:
    import pandas as pd

WINDOW = timedelta(days=60)
HELD_OUT = timedelta(days=7)
IMPORTANCE_SAMPLE = 2_000


def train(flights: Flights, today: date, *, broken: bool) -> None:
    """Train on the days before ``today``, report the quality of the model, and publish it."""
    first, last = today - WINDOW, today - timedelta(days=1)
    features, late = labelled(flights, first, last - HELD_OUT)
    held_out, held_out_late = labelled(flights, last - HELD_OUT + timedelta(days=1), last)
    if broken:
        features, held_out = with_shuffled_weather(features), with_shuffled_weather(held_out)
    classifier = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_leaf_nodes=12,
        min_samples_leaf=200,
        l2_regularization=5.0,
        early_stopping=False,
        categorical_features="from_dtype",
        random_state=2013,
    ).fit(features, late)

    model = mlops.Model(
        name=f"late arrivals {today:%Y-%m}",
        model_format=ModelFormat.SCIKIT_LEARN_3,
        description=f"Arrives {LATE_MINUTES} minutes late or more; trained on the {len(features):,} flights before {today}.",
    )
    model.set_annotations({"month": f"{today:%Y-%m}"})
    scores = classifier.predict_proba(held_out)[:, 1]
    auc = mlops.metrics.roc_auc_score(held_out_late, scores)
    mlops.metrics.accuracy_score(held_out_late, scores > 0.5)
    model.set_stat("training flights", len(features))
    model.set_data_distribution_stat(features[OBSERVED])
    sample = held_out.sample(min(IMPORTANCE_SAMPLE, len(held_out)), random_state=2013)
    importance = permutation_importance(
        classifier, sample, held_out_late[sample.index], scoring="roc_auc", n_repeats=2, random_state=2013
    )
    model.feature_importance(
        feature_importance_vector=importance.importances_mean.tolist(), feature_names=list(FEATURES)
    )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "late_arrivals.joblib"
        joblib.dump(classifier, path)
        model.set_model_path(str(path))
        mlops.publish_model(model)
    print(
        f"{today}: published {model.metadata.name!r}, trained on {len(features):,} flights; AUC of the last week {auc:.3f}"
    )


def labelled(flights: Flights, first: date, last: date) -> tuple[pd.DataFrame, pd.Series]:
    """Features and lateness of the flights that arrived."""
    delay = flights.outcome(first, last)["arr_delay"]
    arrived = delay.notna()
    return flights.scheduled(first, last)[arrived], delay[arrived] >= LATE_MINUTES


def with_shuffled_weather(features: pd.DataFrame) -> pd.DataFrame:
    """``features`` with the weather columns rotated by one, as from a reader that confuses the order of columns.

    The held-out week comes through the same broken reader, so that the model's own metrics look as good as ever.
    """
    return features.rename(columns=dict(zip(WEATHER, WEATHER[1:] + WEATHER[:1], strict=True)))[FEATURES]


def main() -> None:
    """Process the days on standard input."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--broken-month", metavar="YYYY-MM", help="train this month on shuffled weather columns"
    )
    arguments = parser.parse_args()
    flights = Flights()
    mlops.init()
    for day in released_days():
        if day.day == 1 and day >= FIRST_MODEL:
            with mlops.event_time(noon(day) - timedelta(hours=6)):
                train(flights, day, broken=f"{day:%Y-%m}" == arguments.broken_month)
    mlops.done()


if __name__ == "__main__":
    main()
