"""Correlation on synthetic series whose truth is known. The full tables are those of ``python -m benchmarks correlate``."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.correlate import false_findings, power
from parallelm.warehouse.correlation import Calendar, adjust, weigh
from parallelm.warehouse.correlation.autocorrelation import Unbiased
from parallelm.warehouse.correlation.removal import basis, candidates, residuals

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
LAGS = 8


def days(count: int, **more: object) -> Calendar:
    return Calendar(4 * DAY_MS, DAY_MS, count, **more)  # type: ignore[arg-type]


def autoregressive(random: np.random.Generator, n: int, phi: float, rows: int = 1) -> np.ndarray:
    noise = random.normal(size=(rows, n + 100)) * np.sqrt(1 - phi**2)
    series = np.zeros((rows, n + 100))
    for t in range(1, n + 100):
        series[:, t] = phi * series[:, t - 1] + noise[:, t]
    return series[:, 100:]


@pytest.mark.parametrize(
    "kind",
    [
        "weekend effect",
        "trend",
        "AR(0.9)",
        "growing weekend",
        "heavy tails",
        "a shift of the level",
        "counts, most of them zero",
    ],
)
def test_seldom_is_anything_found_where_there_is_nothing(kind: str):
    found = false_findings(kind, days=120, data_sets=100, seed=7)
    # 5 % of 100 data sets are 5; 11 are beyond the 99th percentile.
    assert max(found.by_family.values()) <= 11 / 100
    assert found.tested > 0.3


def test_what_is_there_is_found_under_a_season():
    found, held = power("weekend effect", days=120, effect=0.5, data_sets=30, seed=7)
    assert found > 0.7
    assert held > 0.85


def test_a_planted_lag_under_a_season_is_first_with_a_readable_effect():
    random = np.random.default_rng(3)
    count, lead = 200, 2
    weekend = (np.arange(count + LAGS - 1) % 7 >= 5).astype(float)
    statistics = random.normal(size=(20, count + LAGS - 1))
    kpi = 3.0 * np.roll(statistics[4], lead) + 2.0 * random.normal(size=count + LAGS - 1) - 9.0 * weekend
    weighed = weigh(kpi[LAGS - 1 :], 50.0 * statistics + 400.0 * weekend, days(count))
    surest = np.unravel_index(np.nanargmin(weighed.weights.p), weighed.weights.p.shape)
    assert surest == (4, lead)
    assert weighed.weights.low[surest] < 3.0 < weighed.weights.high[surest]
    assert weighed.deviation[4] == pytest.approx(50.0, rel=0.15)
    assert weighed.removed[0] == "day of week"


def test_short_persistent_series_are_too_short_to_tell():
    random = np.random.default_rng(5)
    walks = np.cumsum(random.normal(size=(40, 40 + LAGS - 1)), axis=1)
    weights = weigh(walks[0, LAGS - 1 :], walks[1:], days(40)).weights
    assert np.isnan(weights.p).mean() > 0.7
    assert (weights.n_effective[np.isnan(weights.p)] < 10).all()
    assert weigh(walks[0, :4], walks[1:, :11], days(4)).problem == "too few values"


def test_the_coefficient_of_noise_is_found_behind_a_fit_that_follows_it():
    random = np.random.default_rng(11)
    terms = next(iter(candidates(days(60), season=True, trend=True)))
    space = basis(terms.columns)
    left = residuals(autoregressive(random, 60, 0.9, rows=400), space)
    naive = (left[:, 1:] * left[:, :-1]).sum(axis=1) / (left * left).sum(axis=1)
    assert naive.mean() < 0.8
    assert Unbiased(space)(left).mean() == pytest.approx(0.88, abs=0.03)


def test_a_season_of_hours_and_weekdays_is_removed_from_hourly_series():
    random = np.random.default_rng(6)
    count = 24 * 7 * 4
    hours = np.arange(count)
    daily = np.sin(hours / 24 * 2 * np.pi) * 4 + (hours // 24 % 7 >= 5) * 3
    kpi, other = random.normal(size=count) + daily, random.normal(size=count) + daily
    calendar = Calendar(4 * DAY_MS, HOUR_MS, count)
    assert np.corrcoef(kpi, other)[0, 1] > 0.7
    weighed = weigh(kpi, other[None], calendar)
    assert weighed.removed[:2] == ("hour of day", "day of week")
    assert weighed.weights.p[0, 0] > 0.01
    kept = weigh(kpi, other[None], calendar, season=False)
    assert kept.removed == (weighed.removed[-1],)


@pytest.mark.parametrize(
    ("width_days", "count", "weekdays"),
    [(1, 20, False), (1, 21, True), (2, 20, False), (2, 21, True), (7, 200, False), (14, 200, False)],
)
def test_weekdays_are_a_season_where_buckets_can_show_them(width_days: int, count: int, weekdays: bool):
    assert Calendar(0, width_days * DAY_MS, count).has_weekdays is weekdays


def test_holidays_are_a_season_when_given():
    random = np.random.default_rng(9)
    count = 90
    holidays = frozenset(date(1970, 1, 5 + offset) for offset in (3, 9, 15, 20))
    off = np.isin(np.arange(count), [3, 9, 15, 20]) * 12.0
    kpi, other = random.normal(size=count) - off, random.normal(size=count) - off
    with_holidays = weigh(kpi, other[None], days(count, holidays=holidays))
    assert with_holidays.removed[1] == "holidays (4 buckets)"
    assert with_holidays.weights.p[0, 0] > 0.01
    assert weigh(kpi, other[None], days(count)).weights.p[0, 0] < 1e-3


def test_one_wild_value_in_each_series_makes_no_finding():
    random = np.random.default_rng(10)
    kpi, others = random.normal(size=100), random.normal(size=(30, 100))
    kpi[40] = 1e6
    others[:, 40] = -1e9
    p = weigh(kpi, others, days(100)).weights.p
    assert (adjust(p, "holm") > 0.05).all()


def test_rare_counts_are_no_outliers():
    random = np.random.default_rng(8)
    counts = random.poisson(0.15, 300).astype(float)
    other = counts + 0.3 * random.normal(size=300)
    weights = weigh(counts, other[None], days(300)).weights
    assert weights.p[0, 0] < 1e-20
    assert weights.r[0, 0] > 0.5


def test_rare_counts_agree_by_chance_no_more_often_than_p_values_say():
    random = np.random.default_rng(9)
    tests = small = 0
    for _ in range(20):
        kpi, others = random.poisson(0.3, 120).astype(float), random.poisson(0.3, (500, 127)).astype(float)
        p = weigh(kpi, others, days(120)).weights.p
        tests += p.size
        small += int((p < 1e-3).sum())
    # The expected number, and half as many again: Student's p-values are below it more than twice as often.
    assert small <= 1.5e-3 * tests


@pytest.mark.parametrize("place", [20, 100, 170])
def test_a_shift_of_the_level_is_found_where_it_is(place: int):
    random = np.random.default_rng(place)
    kpi = random.normal(size=200) + 6 * (np.arange(200) >= place)
    other = random.normal(size=200) - 6 * (np.arange(200) >= place)
    weighed = weigh(kpi, other[None], days(200))
    assert weighed.shifts == (str(date(1970, 1, 5) + timedelta(days=place)),)
    assert weighed.weights.p[0, 0] > 0.01
    assert weigh(kpi, other[None], days(200), trend=False).shifts == ()


def test_a_shift_of_four_deviations_is_found_in_a_short_series():
    """Left in the series it looks like noise that resembles its neighbours, in which a step is no surprise."""
    random = np.random.default_rng(3)
    found = 0
    for _ in range(50):
        kpi = random.normal(size=120) + 4 * (np.arange(120) >= random.integers(10, 110))
        found += bool(weigh(kpi, kpi[None], days(120)).shifts)
    assert found >= 40


@pytest.mark.parametrize("phi", [0.0, 0.9, 1.0])
def test_noise_has_no_shifts(phi: float):
    random = np.random.default_rng(2)
    for _ in range(20):
        noise = np.cumsum(random.normal(size=200)) if phi == 1.0 else autoregressive(random, 200, phi)[0]
        assert weigh(noise, noise[None], days(200)).shifts == ()


def test_months_have_a_year_and_their_own_lengths():
    months = Calendar(0, 30 * DAY_MS, 36, frozenset({date(1972, 2, 29), date(1972, 2, 1)}), has_months=True)
    assert months.starts_ms[2] == (31 + 28) * DAY_MS
    assert months.holiday_share[25] == pytest.approx(2 / 29)
    assert months.holiday_share.sum() == pytest.approx(2 / 29)
    assert months.season_words() == ("month of year", "holidays (1 bucket)")
    assert list(months.months[[0, 11, 12]]) == [0, 11, 0]
    assert months.from_bucket(-2).starts_ms[0] == -61 * DAY_MS
    assert not replace(months, count=35).has_year
    assert not months.has_weekdays


def test_missing_values_are_left_out_on_either_side():
    random = np.random.default_rng(3)
    x = random.normal(size=120)
    kpi = 2 * x + random.normal(scale=0.1, size=120)
    x[10:15] = np.nan
    kpi[40] = np.nan
    weights = weigh(kpi, x[None], days(120)).weights
    assert weights.n[0, 0] == 114
    assert weights.p[0, 0] < 1e-20


def test_a_kpi_of_working_days_is_weighed_without_its_weekends():
    random = np.random.default_rng(4)
    x = random.normal(size=140)
    kpi = x + random.normal(size=140)
    kpi[np.arange(140) % 7 >= 5] = np.nan
    weights = weigh(kpi, x[None], days(140)).weights
    assert weights.n[0, 0] == 100
    assert weights.p[0, 0] < 1e-6


def test_series_that_differ_in_what_they_lack_are_weighed_as_each_alone():
    random = np.random.default_rng(12)
    kpi, others = random.normal(size=100), random.normal(size=(40, 107))
    for number, row in enumerate(others):
        row[number : number + 9] = np.nan
    together = weigh(kpi, others, days(100)).weights
    for number in (0, 17, 39):
        alone = weigh(kpi, others[[number]], days(100)).weights
        assert together.p[number] == pytest.approx(alone.p[0], rel=1e-4)
        assert together.effect[number] == pytest.approx(alone.effect[0], rel=1e-4)


def test_a_constant_and_a_pure_season_have_no_correlation():
    kpi = np.random.default_rng(2).normal(size=70)
    still = np.stack([np.full(70, 5.0), np.full(70, 0.1 + 0.2), np.arange(70) % 7 * 1.5, np.full(70, np.nan)])
    assert np.isnan(weigh(kpi, still, days(70)).weights.r).all()


def test_equal_series_are_perfectly_correlated():
    x = np.random.default_rng(4).normal(size=80)
    weights = weigh(1e100 * x, 3e-100 * x[None] + 1e-100, days(80)).weights
    assert weights.r[0, 0] > 0.97
    assert weights.p[0, 0] < 1e-12


def test_adjusted_p_values_weigh_the_number_of_tests():
    p = np.array([[0.01, np.nan], [0.04, 0.03]])
    assert adjust(p, "holm").ravel() == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)
    assert adjust(p, "fdr_bh").ravel() == pytest.approx([0.03, np.nan, 0.04, 0.04], nan_ok=True)
    assert np.isnan(adjust(np.array([np.nan]), "holm")).all()


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
    st.integers(0, 70),
    st.booleans(),
)
def test_results_stay_in_their_ranges(values: list[float], seed: int, lags: int, swap: bool):
    kpi = np.array(values)
    other = np.random.default_rng(seed).integers(0, 3, size=(3, kpi.size + lags)).astype(float)
    if swap:
        kpi, other[0, lags:] = other[0, lags:].copy(), kpi
    weights = weigh(kpi, other, days(kpi.size)).weights
    told = np.isfinite(weights.p)
    assert weights.p.shape == (3, lags + 1)
    assert ((weights.p[told] >= 0) & (weights.p[told] <= 1)).all()
    assert (np.abs(weights.r[told]) <= 1).all()
    assert (weights.n_effective <= weights.n).all()
    assert (weights.low[told] <= weights.high[told]).all()
