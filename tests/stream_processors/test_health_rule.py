"""Alerts about drift, from the component library's own report to the transition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from parallelm.mlops._distribution import distribution_reports
from parallelm.schemas import well_known as names
from parallelm.stream_processors.alerts.drift_decision import STATISTICS
from tests.stream_processors.stages import series_of
from tests.stream_processors.test_alerts_of_an_mlapp import MINUTE, definition

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.schemas.records import Series
    from tests.stream_processors.stages import Stages

ROWS = 500


def frame(random: np.random.Generator, rows: int, moved: float = 0.0) -> pd.DataFrame:
    columns = {name: random.normal(size=rows) for name in "abcd"}
    return pd.DataFrame(columns | {"e": random.choice(list("xyz"), rows)}).assign(
        a=lambda data: data.a + moved
    )


class Reporting:
    """A component whose model was trained on five features."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(20130101)
        reports: list[Any] = distribution_reports(frame(self._random, 5000))
        self._trained = [each for report in reports for each in getattr(report, "histograms", ())]

    def series(self, at_ms: float, rows: int = ROWS, moved: float = 0.0) -> list[Series]:
        """What a report sends about drift, in its order."""
        reports: list[Any] = distribution_reports(frame(self._random, rows, moved), self._trained)
        return [
            series_of(report.name, [(at_ms, value)], model="m", labels={report.line_label: line})
            for report in reports
            if report.name in STATISTICS or report.name.endswith(names.OVERLAP_SUFFIX)
            for line, value in report.samples
        ]


@pytest.fixture
def reporting() -> Reporting:
    return Reporting()


@pytest.fixture
def send(stages: Stages, reporting: Reporting) -> Callable[..., list[str]]:
    def sent(*, parts: int = 1, **report: Any) -> list[str]:
        stages.now_ms += MINUTE
        series = reporting.series(stages.now_ms, **report)
        for part in np.array_split(np.arange(len(series)), parts):
            stages.statistics([series[index] for index in part], node="m")
        return stages.settle().states()

    return sent


def test_a_feature_that_drifts_fires_alone_and_resolves(
    stages: Stages, send: Callable[..., list[str]]
) -> None:
    stages.apply(definition("name: drift, type: health"))
    for _ in range(5):
        assert send() == []
    assert send(moved=1.0) == ["firing"]
    (alert,) = stages.alerts
    assert (alert.labels["feature"], alert.statistic, alert.threshold) == ("a", "drift.p_value", 0.001)
    assert alert.value < 1e-20
    assert "a has drifted" in alert.reason
    assert send(moved=1.0) == ["firing"]
    assert send(moved=1.0, rows=20) == ["firing"]
    assert send(rows=20) == ["firing"], "too few rows resolve nothing"
    assert send() == ["firing", "resolved"]


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_report_in_several_records_raises_nothing_by_chance_and_its_alert_once(
    stages: Stages, send: Callable[..., list[str]], parts: int
) -> None:
    stages.apply(definition("name: drift, type: health"))
    for _ in range(5):
        assert send(parts=parts) == []
    send(moved=1.0)
    assert send(moved=1.0, parts=parts) == ["firing"]
    assert send(parts=parts, rows=20) == ["firing"]


@pytest.mark.parametrize("rule", ["measure: psi", "measure: ks", "measure: score, threshold: 0.9"])
def test_other_measures(stages: Stages, send: Callable[..., list[str]], rule: str) -> None:
    stages.apply(definition(f"name: drift, type: health, {rule}"))
    assert send() == []
    assert send(moved=1.0) == ["firing"]
    assert stages.alerts[0].labels["feature"] == "a"
    assert send() == ["firing", "resolved"]
