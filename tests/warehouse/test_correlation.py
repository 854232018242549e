"""Correlation on synthetic series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from parallelm.warehouse.correlation import (
    _p_value,
    adjust,
    correlate_pair,
    differenced,
    effective_sample_size,
    lagged,
)


def autoregressive(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    noise = rng.normal(size=n + 100)
    series = np.zeros(n + 100)
    for t in range(1, n + 100):
        series[t] = phi * series[t - 1] + noise[t]
    return series[100:]


def test_independent_autocorrelated_series_are_seldom_called_correlated():
    rng = np.random.default_rng(7)
    pairs = [(autoregressive(rng, 150, 0.9), autoregressive(rng, 150, 0.9)) for _ in range(300)]
    naive = np.mean([stats.pearsonr(x, y).pvalue < 0.05 for x, y in pairs])
    ours = np.mean([correlate_pair(x, y).p < 0.05 for x, y in pairs])
    assert naive > 0.3, "the naive test is fooled by autocorrelation, else this test shows nothing"
    assert ours < 0.10


def test_white_noise_keeps_nearly_all_its_points_and_its_error_rate():
    rng = np.random.default_rng(8)
    pairs = [(rng.normal(size=100), rng.normal(size=100)) for _ in range(300)]
    found = [correlate_pair(x, y) for x, y in pairs]
    assert np.median([each.n_effective for each in found]) > 80
    assert 0.01 < np.mean([each.p < 0.05 for each in found]) < 0.10


def test_a_true_correlation_is_found_among_autocorrelated_series():
    rng = np.random.default_rng(9)
    common = autoregressive(rng, 300, 0.6)
    x = common + 0.5 * rng.normal(size=300)
    y = common + 0.5 * rng.normal(size=300)
    found = correlate_pair(x, y)
    assert found.r == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.n == 300
    assert found.n_effective < 200
    assert found.p < 1e-6


def test_series_that_swing_back_and_forth_are_not_worth_more_than_their_points():
    swinging = np.array([1.0, -1.0] * 20)
    assert effective_sample_size(swinging, np.array([1.0, 1.0, -1.0, -1.0] * 10)) == 40


@pytest.mark.parametrize(("r", "n"), [(0.3, 40), (-0.8, 7), (0.01, 1000)])
def test_p_is_that_of_pearsons_test_when_points_count_in_full(r: float, n: int):
    x = np.random.default_rng(n).normal(size=n)
    rest = np.random.default_rng(n + 1).normal(size=n)
    x -= x.mean()
    rest -= rest.mean() + x * (rest @ x) / (x @ x)
    y = r * x / np.linalg.norm(x) + np.sqrt(1 - r * r) * (rest - rest.mean()) / np.linalg.norm(
        rest - rest.mean()
    )
    assert _p_value(r, n) == pytest.approx(stats.pearsonr(x, y).pvalue, rel=1e-2)


def test_missing_points_are_left_out():
    rng = np.random.default_rng(3)
    x = rng.normal(size=60)
    y = 2 * x + rng.normal(scale=0.1, size=60)
    x[10:15] = np.nan
    y[40] = np.nan
    found = correlate_pair(x, y)
    assert found.n == 54
    kept = np.isfinite(x) & np.isfinite(y)
    assert found.r == pytest.approx(np.corrcoef(x[kept], y[kept])[0, 1])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, np.nan, 3.0, np.nan], [1.0, 2.0, 3.0, 4.0]),
        ([5.0] * 20, list(range(20))),
        ([0.1 + 0.2] * 20, list(range(20))),
        ([np.nan] * 20, list(range(20))),
    ],
)
def test_too_few_points_and_constant_series_have_no_correlation(x: list[float], y: list[float]):
    assert correlate_pair(np.array(x), np.array(y, dtype=float)) is None


def test_equal_series_are_perfectly_correlated():
    x = np.random.default_rng(4).normal(size=50)
    found = correlate_pair(x, 3 * x + 1)
    assert found.r == pytest.approx(1.0)
    assert found.p < 1e-12


def test_differences_remove_a_common_trend():
    rng = np.random.default_rng(5)
    trend = np.linspace(0, 50, 200)
    x, y = trend + rng.normal(size=200), trend + rng.normal(size=200)
    assert correlate_pair(x, y).r > 0.9
    assert correlate_pair(differenced(x), differenced(y)).p > 0.01


def test_a_lag_brings_a_leading_series_to_where_it_shows():
    x = np.random.default_rng(6).normal(size=100)
    y = np.concatenate([[np.nan] * 3, x[:-3]])
    assert correlate_pair(lagged(x, 3), y).r == pytest.approx(1.0)
    assert abs(correlate_pair(x, y).r) < 0.3


def test_adjusted_p_values_weigh_the_number_of_tests():
    assert adjust([0.01, 0.04, 0.03], "holm") == pytest.approx([0.03, 0.06, 0.06])
    assert adjust([0.01, 0.04, 0.03], "fdr_bh") == pytest.approx([0.03, 0.04, 0.04])
    assert adjust([], "holm").size == 0


@given(
    st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), min_size=3, max_size=60),
    st.integers(0, 2**32 - 1),
    st.integers(-70, 70),
)
def test_results_stay_in_their_ranges(values: list[float], seed: int, lag: int):
    x = np.array(values)
    y = np.random.default_rng(seed).normal(size=x.size)
    found = correlate_pair(lagged(x, lag), y)
    if found is not None:
        assert -1 <= found.r <= 1
        assert 0 <= found.p <= 1
        assert 2 <= found.n_effective <= found.n <= x.size
