"""The gates of the demo's canary, on every month of the year: what they let pass, and what they find."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from parallelm.mlops._distribution import distribution_reports
from parallelm.schemas import well_known as names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import pandas as pd

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flight_delays"
MONTHS = range(3, 13)
"""February's model is the first: it has no live model beside it, and so no canary."""


@pytest.fixture(scope="module")
def example() -> Iterator[tuple[ModuleType, ModuleType, Any]]:
    """The example's modules ``train`` and ``predict``, and all flights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        import flights
        import predict
        import train

        yield train, predict, flights.Flights()
        for module in ("flights", "predict", "train", "released_days"):
            sys.modules.pop(module, None)


@pytest.fixture(scope="module")
def rule() -> dict[str, Any]:
    definition = yaml.safe_load((EXAMPLE / "flight_delays.yaml").read_text(encoding="utf-8"))
    wanted = definition["policy"]["rollback_on"][0]["rule"]
    found: dict[str, Any] = next(rule for rule in definition["alerts"] if rule["name"] == wanted)
    return found


@pytest.mark.parametrize("month", MONTHS)
def test_the_input_gate_finds_confused_columns_on_the_first_day_of_any_month_and_stops_no_good_model(
    example: tuple[ModuleType, ModuleType, Any], rule: dict[str, Any], month: int
):
    train, predict, flights = example
    today = date(2013, month, 1)
    learned, _ = train.labelled(flights, today - train.WINDOW, today - timedelta(days=1) - train.HELD_OUT)
    seen = flights.scheduled(today - timedelta(days=predict.DISTRIBUTION_DAYS - 1), today).iloc[::4]
    confused = _divergence(train.with_shuffled_weather(learned), seen, rule["features"])
    good = _divergence(learned, seen, rule["features"])
    assert min(confused.values()) > rule["threshold"]
    assert max(good.values()) < rule["threshold"]


def _divergence(training: pd.DataFrame, seen: pd.DataFrame, features: list[str]) -> dict[str, float]:
    """Jensen-Shannon divergence in bits, as ``set_data_distribution_stat`` reports it."""
    at_training: list[Any] = distribution_reports(training[features])
    trained_on = [each for report in at_training for each in getattr(report, "histograms", ())]
    reports: list[Any] = distribution_reports(seen[features], trained_on)
    return next(dict(report.samples) for report in reports if report.name == names.DRIFT_JS)
