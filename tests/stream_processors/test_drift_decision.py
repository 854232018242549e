"""Drift that pages rightly: seldom without drift, soon with it, by what the component library itself computes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops._distribution import distribution_reports
from parallelm.schemas import well_known as names
from parallelm.stream_processors.alerts.drift_decision import (
    STATISTICS,
    DriftSettings,
    Finding,
    benjamini_hochberg,
    decide,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.schemas.records import Histogram

DEFAULT = DriftSettings()
ROWS_TRAINED = 5000
ROWS = 500
FEATURES = 20
REPORTS = 200
LETTERS = [0.6, 0.3, 0.1]


def trained_on(frame: pd.DataFrame) -> list[Histogram]:
    reports: list[Any] = distribution_reports(frame)
    return [each for report in reports for each in getattr(report, "histograms", ())]


def measures_of(data: pd.DataFrame, trained: Sequence[Histogram]) -> dict[str, dict[str, float]]:
    """What the processors see of one report: feature → statistic → value."""
    found: dict[str, dict[str, float]] = {}
    reports: list[Any] = distribution_reports(data, trained)
    for report in reports:
        if report.name in STATISTICS:
            for feature, value in report.samples:
                found.setdefault(feature, {})[report.name] = value
        elif report.name.endswith(names.OVERLAP_SUFFIX):
            for label, value in report.samples:
                found.setdefault(label.removeprefix(names.OVERLAP_LABEL_PREFIX), {})["score"] = value
    return found


def table(rows: int, random: np.random.Generator) -> pd.DataFrame:
    """Twenty features of the kinds that occur: bell-shaped, skewed, rounded, few and many categories, with gaps."""
    columns: dict[str, Any] = {f"normal{index}": random.normal(size=rows) for index in range(6)}
    columns |= {f"skewed{index}": random.exponential(size=rows) for index in range(4)}
    columns |= {f"rounded{index}": random.poisson(40, rows) for index in range(3)}
    columns |= {f"few{index}": random.choice(list("abc"), rows, p=LETTERS) for index in range(3)}
    rare = 1 / np.arange(1, 21) ** 2
    columns |= {
        f"rare{index}": random.choice(20, rows, p=rare / rare.sum()).astype(str) for index in range(2)
    }
    for index in range(2):
        values = random.normal(size=rows)
        values[random.random(rows) < 0.1] = np.nan
        columns[f"gaps{index}"] = values
    assert len(columns) == FEATURES
    return pd.DataFrame(columns)


def breached(findings: Mapping[str, Finding]) -> list[str]:
    return [feature for feature, finding in findings.items() if finding.breached]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_200_reports_of_100_rows_without_drift_raise_less_than_5_false_alarms(seed: int) -> None:
    random = np.random.default_rng(seed)
    trained = trained_on(table(ROWS_TRAINED, random))
    false: dict[str, int] = {}
    settings = [DEFAULT] + [settings_of({"measure": each, "threshold": 0.1}) for each in ("psi", "ks")]
    settings += [settings_of({"measure": "js", "threshold": 0.01})]
    for _ in range(REPORTS):
        measures = measures_of(table(100, random), trained)
        for each in settings:
            found = decide(measures, each)
            assert len(found) == (FEATURES if each.measure != "ks" else FEATURES - 5)
            false[each.measure] = false.get(each.measure, 0) + len(breached(found))
    # Expected are 0.2 of each, by the false-discovery rate of 0.001; 5 and more come with a chance of 2 in a million.
    assert all(count < 5 for count in false.values()), false


def _missing(random: np.random.Generator, share: float) -> Any:
    values = random.normal(size=ROWS)
    values[random.random(ROWS) < share] = np.nan
    return values


WITH_NEW = [0.57, 0.285, 0.095, 0.05]
DRIFTED: Mapping[str, tuple[str, Callable[[np.random.Generator], Any]]] = {
    "mean moved by one deviation": ("normal0", lambda random: random.normal(1, size=ROWS)),
    "half the spread": ("normal0", lambda random: random.normal(0, 0.5, size=ROWS)),
    "dead sensor": ("normal0", lambda _: np.zeros(ROWS)),
    "dead sensor that counts": ("rounded0", lambda _: np.full(ROWS, 40)),
    "new category": ("few0", lambda random: random.choice(list("abcd"), ROWS, p=WITH_NEW)),
    "all in one category": ("few0", lambda _: np.full(ROWS, "a")),
    "30 % missing": ("normal0", lambda random: _missing(random, 0.3)),
    "all missing": ("normal0", lambda random: _missing(random, 1)),
}
"""A feature of ``table``, and its values once they have drifted."""


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("mean moved by one deviation", "of 500 rows are distributed otherwise"),
        ("half the spread", "of 500 rows are distributed otherwise"),
        ("dead sensor", "of 500 rows are distributed otherwise"),
        ("dead sensor that counts", "of 500 rows are distributed otherwise"),
        ("new category", "of 500 rows are in new categories"),
        ("all in one category", "of 500 rows are distributed otherwise"),
        ("30 % missing", "of 500 rows are missing (0.00% in training)"),
        ("all missing", "100.00% of 500 rows are missing (0.00% in training)"),
    ],
)
def test_drift_of_one_feature_of_twenty_is_found_within_500_rows(kind: str, says: str, seed: int) -> None:
    random = np.random.default_rng([20130101, seed])
    trained = trained_on(table(ROWS_TRAINED, random))
    data = table(ROWS, random)
    feature, drifted = DRIFTED[kind]
    measures = measures_of(data.assign(**{feature: drifted(random)}), trained)
    found = decide(measures, DEFAULT)
    assert breached(found) == [feature]
    assert found[feature].value < 1e-6
    assert says in found[feature].reason
    for measure, threshold in (("psi", 0.1), ("js", 0.01)):
        assert breached(decide(measures, DriftSettings(measure=measure, threshold=threshold))) == [feature]


def test_a_huge_sample_does_not_page_for_a_difference_that_matters_to_nobody() -> None:
    random = np.random.default_rng(5)
    rows = 200_000
    trained = trained_on(pd.DataFrame({"x": random.normal(size=rows)}))
    measures = measures_of(pd.DataFrame({"x": random.normal(0.05, 1, size=rows)}), trained)
    (finding,) = decide(measures, DEFAULT).values()
    assert finding.value < 1e-9
    assert not finding.breached
    assert "significant" in finding.reason
    assert "but small" in finding.reason
    assert breached(decide(measures, DriftSettings(min_effect=0.0))) == ["x"]
    moved = measures_of(pd.DataFrame({"x": random.normal(0.5, 1, size=rows)}), trained)
    assert breached(decide(moved, DEFAULT)) == ["x"]


def report(**more: float) -> dict[str, dict[str, float]]:
    values = {
        names.DRIFT_ROWS: 100.0,
        names.DRIFT_TRAINING_ROWS: 1000.0,
        names.DRIFT_P_VALUE: 1e-9,
        names.DRIFT_JS: 0.2,
        names.DRIFT_PSI: 0.5,
        "score": 0.3,
    }
    return {
        "x": values | {f"drift.{name}" if name != "score" else name: value for name, value in more.items()}
    }


@pytest.mark.parametrize("measure", ["p_value", "psi", "js", "score"])
@pytest.mark.parametrize("count", ["row_count", "training_row_count"])
def test_too_few_rows_neither_raise_nor_resolve(measure: str, count: str) -> None:
    settings = DriftSettings(measure=measure, threshold=0.01 if measure != "score" else 0.5)
    assert breached(decide(report(), settings)) == ["x"]
    assert decide(report(**{count: 29}), settings) == {}
    assert breached(decide(report(**{count: 30}), settings)) == ["x"]


def test_a_score_without_counts_of_rows_is_judged_and_a_p_value_is_not() -> None:
    score = DriftSettings(measure="score", threshold=0.5)
    assert decide({"x": {"score": 0.5}}, score)["x"].breached is False
    assert decide({"x": {"score": 0.4}}, score)["x"].breached is True
    assert decide({"x": {names.DRIFT_P_VALUE: 0.0}}, DEFAULT) == {}


@pytest.mark.parametrize("measure", ["p_value", "psi", "js", "ks", "score"])
def test_what_is_not_a_number_is_no_measure(measure: str) -> None:
    nothing = dict.fromkeys(
        (*(STATISTICS - {names.DRIFT_ROWS, names.DRIFT_TRAINING_ROWS}), "score"), math.nan
    )
    rows = {names.DRIFT_ROWS: 100.0, names.DRIFT_TRAINING_ROWS: 1000.0}
    settings = DriftSettings(measure=measure, threshold=0.05)
    assert decide({"x": nothing | rows, "y": {}, "z": rows}, settings) == {}


def test_a_distance_of_few_rows_must_be_significant_too() -> None:
    settings = DriftSettings(measure="psi", threshold=0.25)
    assert breached(decide(report(), settings)) == ["x"]
    chance = decide(report(p_value=0.2), settings)["x"]
    assert not chance.breached
    assert "so few rows vary as much" in chance.reason
    assert breached(decide(report(p_value=0.2), DriftSettings(measure="psi", threshold=0.25, false_discovery_rate=1))) == ["x"]  # fmt: skip


def test_a_feature_that_has_no_such_measure_is_left_out() -> None:
    assert decide(report(), DriftSettings(measure="ks", threshold=0.1)) == {}


@pytest.mark.parametrize("missing", ["p_value", "row_count", "training_row_count"])
@pytest.mark.parametrize("measure", ["p_value", "psi", "js"])
def test_a_part_of_a_report_decides_nothing(missing: str, measure: str) -> None:
    settings = DriftSettings(measure=measure, threshold=0.01)
    values = report(missing_p_value=0.9)["x"]
    assert decide({"x": values}, settings)["x"].breached
    del values[f"drift.{missing}"]
    assert decide({"x": values}, settings) == {}


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="'wasserstein'; this version knows: p_value, psi, js, ks, score"):
        settings_of({"measure": "wasserstein", "threshold": 1})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_values_are_scipy_s(p_values: list[float]) -> None:
    expected = scipy.stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(p_values) == pytest.approx(expected.tolist())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.001, 0.05, 0.5]))
def test_a_decision_does_not_depend_on_the_order_of_the_features(p_values: list[float], rate: float) -> None:
    measures = {f"x{index}": report(p_value=value)["x"] for index, value in enumerate(p_values)}
    settings = DriftSettings(threshold=rate)
    backwards = dict(reversed(measures.items()))
    assert decide(measures, settings) == decide(backwards, settings)
    smallest = min(measures, key=lambda name: measures[name][names.DRIFT_P_VALUE])
    drifted = breached(decide(measures, settings))
    assert not drifted or smallest in drifted or measures[drifted[0]] == measures[smallest]
