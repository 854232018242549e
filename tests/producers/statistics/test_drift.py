"""What the similarity score cannot see: drift, with p-values that hold for small samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.spatial
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops._distribution import distribution_reports
from parallelm.mlops._distribution.drift import (
    jensen_shannon,
    kolmogorov_smirnov,
    population_stability_index,
    table_p_value,
)
from parallelm.mlops._distribution.tails import gamma_sf, hypergeometric_two_sided, kolmogorov_sf
from parallelm.schemas import well_known as names
from parallelm.schemas.records import Histogram

ROWS_TRAINED = 5000
ROWS = 500
ALARM = 0.001


def random(seed: int = 20130101) -> np.random.Generator:
    return np.random.default_rng(seed)


def trained_on(frame: pd.DataFrame) -> list[Histogram]:
    reports: list[Any] = distribution_reports(frame)
    return [each for report in reports for each in getattr(report, "histograms", ())]


def measured(training: pd.DataFrame, inference: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Measure → feature → value; the similarity scores as ``score``."""
    reports: list[Any] = distribution_reports(inference, trained_on(training))
    found: dict[str, dict[str, float]] = {"score": {}}
    for report in reports:
        if report.name.startswith("drift."):
            assert report.line_label == "feature"
            found[report.name.removeprefix("drift.")] = dict(report.samples)
        elif report.name.endswith(names.OVERLAP_SUFFIX):
            found["score"] |= {
                label.removeprefix(names.OVERLAP_LABEL_PREFIX): value for label, value in report.samples
            }
    return found


def table(rows: int, seed: int) -> pd.DataFrame:
    """Twenty features of the kinds that occur: bell-shaped, skewed, rounded, few and many categories, with gaps."""
    generator = random(seed)
    columns: dict[str, Any] = {f"normal{index}": generator.normal(size=rows) for index in range(6)}
    columns |= {f"skewed{index}": generator.exponential(size=rows) for index in range(4)}
    columns |= {f"rounded{index}": generator.poisson(40, rows) for index in range(3)}
    columns |= {f"few{index}": generator.choice(list("abc"), rows, p=[0.7, 0.2, 0.1]) for index in range(3)}
    rare = 1 / np.arange(1, 21) ** 2
    columns |= {
        f"rare{index}": generator.choice(20, rows, p=rare / rare.sum()).astype(str) for index in range(2)
    }
    for index in range(2):
        values = generator.normal(size=rows)
        values[generator.random(rows) < 0.1] = np.nan
        columns[f"gaps{index}"] = values
    return pd.DataFrame(columns)


def alarms(p_values: list[float], level: float = 0.05) -> int:
    """Rejections by Benjamini and Hochberg."""
    ordered = np.sort(p_values)
    below = np.flatnonzero(ordered <= level * np.arange(1, ordered.size + 1) / ordered.size)
    return int(below[-1]) + 1 if below.size else 0


def test_without_drift_few_reports_of_100_rows_raise_an_alarm() -> None:
    reports = 200
    training = trained_on(table(ROWS_TRAINED, seed=1))
    false = dict.fromkeys(("p_value", "ks_p_value", "missing_p_value", "new_category_p_value"), 0)
    for seed in range(reports):
        found: list[Any] = distribution_reports(table(100, seed=1000 + seed), training)
        for measure in false:
            (p_values,) = [
                [value for _, value in report.samples]
                for report in found
                if report.name == f"drift.{measure}"
            ]
            false[measure] += alarms(p_values) > 0
    # 5 % are allowed for; of 200 reports that is 10, and 20 or more with a chance of 0.2 %.
    assert max(false.values()) <= 19, f"{false} of {reports} reports without drift"


def drifted(kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and inference of one feature ``x``."""
    generator = random()
    normal = pd.DataFrame({"x": generator.normal(size=ROWS_TRAINED)})
    letters = pd.DataFrame({"x": generator.choice(list("abc"), ROWS_TRAINED, p=[0.6, 0.3, 0.1])})
    later = generator.normal(size=ROWS)
    if kind == "mean moved by one deviation":
        return normal, pd.DataFrame({"x": later + 1})
    if kind == "half the spread":
        return normal, pd.DataFrame({"x": later / 2})
    if kind == "dead sensor":
        return normal, pd.DataFrame({"x": np.zeros(ROWS)})
    if kind == "new category":
        return letters, pd.DataFrame({"x": generator.choice(list("abcd"), ROWS, p=[0.55, 0.3, 0.1, 0.05])})
    share = {"30 % missing": 0.3, "98 % missing": 0.98, "all missing": 1.0}[kind]
    later[generator.random(ROWS) < share] = np.nan
    return normal, pd.DataFrame({"x": later})


@pytest.mark.parametrize(
    ("kind", "measures"),
    [
        ("mean moved by one deviation", {"p_value", "ks_p_value"}),
        ("half the spread", {"p_value", "ks_p_value"}),
        ("dead sensor", {"p_value", "ks_p_value"}),
        ("new category", {"p_value", "new_category_p_value"}),
        ("30 % missing", {"p_value", "missing_p_value"}),
        ("98 % missing", {"p_value", "missing_p_value"}),
        ("all missing", {"p_value", "missing_p_value"}),
    ],
)
def test_drift_is_found_within_500_rows(kind: str, measures: set[str]) -> None:
    found = measured(*drifted(kind))
    p_values = {name: values["x"] for name, values in found.items() if name.endswith("p_value")}
    assert {name for name, value in p_values.items() if value < ALARM} == measures
    assert found["row_count"]["x"] == ROWS
    assert found["training_row_count"]["x"] == ROWS_TRAINED
    assert found["psi"]["x"] > 0.1
    assert found["js"]["x"] > 0.02


def test_the_similarity_score_stays_the_reference_s_and_says_nothing_of_these() -> None:
    assert measured(*drifted("dead sensor"))["score"] == {"x": 1.0}
    assert measured(*drifted("98 % missing"))["score"]["x"] > 0.9
    assert measured(*drifted("all missing"))["score"] == {"x": 0.0}
    all_missing = measured(*drifted("all missing"))
    assert all_missing["missing_share"] == {"x": 1.0}
    assert "ks" not in all_missing, "there are no values to compare"


def test_shares_of_missing_values_and_new_categories() -> None:
    training = pd.DataFrame({"n": [*range(90), *[None] * 10], "k": ["a", "b"] * 50})
    later = pd.DataFrame({"n": [*range(30), *[None] * 10], "k": ["a", "c", None, "b"] * 10})
    found = measured(training, later)
    assert found["missing_share"] == {"n": 0.25, "k": 0.25}
    assert found["training_missing_share"] == {"n": 0.1, "k": 0.0}
    assert found["new_category_share"] == {"k": pytest.approx(1 / 3)}
    assert set(found["ks"]) == {"n"}


def test_a_training_that_does_not_say_its_rows_has_no_drift() -> None:
    training = Histogram(
        feature="c0",
        kind=trained_on(pd.DataFrame({"c0": ["a"]}))[0].kind,
        edges=(),
        categories=("a",),
        weights=(1.0,),
    )
    reports = distribution_reports(np.array(["a", "b"]), [training])
    assert not [report for report in reports if report.name.startswith("drift.")]


counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=15).filter(
    lambda cells: all(sum(side) for side in zip(*cells, strict=True))
)


@given(counts)
def test_measures_agree_with_scipy(cells: list[tuple[int, int]]) -> None:
    r, i = map(list, zip(*cells, strict=True))
    p, q = np.array(r) / sum(r), np.array(i) / sum(i)
    distance = scipy.spatial.distance.jensenshannon(p, q, base=2)
    assert jensen_shannon(r, i) == pytest.approx(0 if math.isnan(distance) else distance**2, abs=1e-9)
    ks, p_value = kolmogorov_smirnov(r, i)
    places = np.arange(len(r))
    expected = scipy.stats.ks_2samp(np.repeat(places, r), np.repeat(places, i), method="asymp")
    assert ks == pytest.approx(expected.statistic)
    effective = sum(r) * sum(i) / (sum(r) + sum(i))
    assert p_value == pytest.approx(scipy.stats.kstwobign.sf(math.sqrt(effective) * ks), abs=1e-12)
    assert 0 <= table_p_value(r, i) <= 1
    assert population_stability_index(r, i) >= 0
    assert population_stability_index(r, i) == pytest.approx(population_stability_index(i, r))
    assert table_p_value(r, r) > 0.99


def test_the_p_value_of_a_table_with_large_counts_is_the_chi_square_s() -> None:
    generator = random()
    for _ in range(50):
        table_ = np.array(
            [generator.multinomial(20_000, [0.1] * 10), generator.multinomial(5000, [0.1] * 10)]
        )
        expected = scipy.stats.chi2_contingency(table_).pvalue
        assert table_p_value(*table_.tolist()) == pytest.approx(expected, rel=0.02)


def test_the_p_value_of_a_table_with_small_counts_is_that_of_permutations() -> None:
    generator = random()
    r, i = np.array([400, 300, 90, 30]), np.array([35, 34, 15, 8])
    both, m = r + i, int(i.sum())
    n = int(r.sum())

    def chi_square(drawn: Any) -> Any:
        return (((both - drawn) * m - drawn * n) ** 2 / both).sum(axis=-1)

    drawn = generator.multivariate_hypergeometric(both, m, size=100_000)
    expected = (chi_square(drawn) >= chi_square(i)).mean()
    assert table_p_value(r.tolist(), i.tolist()) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("shape", [0.3, 0.5, 2, 6.5, 12, 300, 5000])
def test_gamma_tails_are_scipy_s(shape: float) -> None:
    for x in (0, 1e-8, 0.1, 1, 5, 20, shape, shape * 1.2, shape + 5 * math.sqrt(shape), shape * 3):
        assert gamma_sf(x, shape) == pytest.approx(scipy.special.gammaincc(shape, x), rel=1e-8, abs=1e-14)


@given(st.floats(0.01, 5))
def test_kolmogorov_tails_are_scipy_s(x: float) -> None:
    assert kolmogorov_sf(x) == pytest.approx(scipy.special.kolmogorov(x), rel=1e-8, abs=1e-14)


@given(st.data())
def test_tails_of_shares_are_scipy_s(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 20_000))
    draws, marked = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    found = data.draw(st.integers(max(0, draws + marked - total), min(draws, marked)))
    hypergeometric = scipy.stats.hypergeom(total, marked, draws)
    expected = min(1, 2 * min(hypergeometric.cdf(found), hypergeometric.sf(found - 1)))
    assert hypergeometric_two_sided(found, draws, marked, total) == pytest.approx(
        expected, rel=1e-5, abs=1e-12
    )
