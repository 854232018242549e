"""The comparison of a canary: against scipy, against the reference's comparator, and what its verdicts are."""

from __future__ import annotations

import contextlib
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from parallelm.mlops.examples.canary_comparator_base import Bars, compare
from parallelm.schemas.records import Histogram, HistogramKind, Origin, StructuredStatistic
from parallelm.stream_processors.model_policy.analysis.distributions import (
    Distribution,
    distribution_of,
    rmse,
)
from parallelm.stream_processors.model_policy.analysis.judge import (
    Compared,
    Verdict,
    compare_metric,
    compare_predictions,
    judge,
)
from parallelm.stream_processors.model_policy.analysis.mann_whitney import shift_test
from parallelm.stream_processors.model_policy.settings import CanaryMetric, CanaryOptions

NUMBERS = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=40)
DISTINCT = st.lists(st.integers(-10_000, 10_000), min_size=8, max_size=60, unique=True)
WEIGHTS = st.lists(st.floats(0.01, 100), min_size=1, max_size=8)


@given(NUMBERS, NUMBERS)
def test_the_p_value_is_scipys_and_the_groups_may_be_swapped(baseline: list[float], canary: list[float]):
    test = shift_test(baseline, canary, 0.95)
    if len({*baseline, *canary}) > 1:
        assert test.p_value == mannwhitneyu(canary, baseline, alternative="two-sided").pvalue
    else:
        assert test.p_value == 1
    other = shift_test(canary, baseline, 0.95)
    assert other.p_value == pytest.approx(test.p_value)
    assert (other.estimate, other.lower, other.upper) == (-test.estimate, -test.upper, -test.lower)
    assert other.effect == pytest.approx(1 - test.effect)
    assert test.lower <= test.estimate <= test.upper


@given(DISTINCT, st.integers(4, 30), st.sampled_from((0.9, 0.95, 0.98)))
def test_the_interval_leaves_out_zero_exactly_when_the_test_is_significant(
    values: list[int], cut: int, confidence: float
):
    """Duality of test and interval: scipy's asymptotic test with continuity correction, on values without ties."""
    assume(cut <= len(values) - 4)
    baseline, canary = [float(v) for v in values[:cut]], [v + 0.5 for v in values[cut:]]
    test = shift_test(baseline, canary, confidence)
    p_value = mannwhitneyu(canary, baseline, method="asymptotic").pvalue
    assert (test.lower > 0 or test.upper < 0) == (p_value < 1 - confidence)


def test_a_known_shift_is_found_with_its_size():
    chance = np.random.default_rng(7)
    baseline, canary = chance.normal(10, 1, 200), chance.normal(11, 1, 200)
    test = shift_test(baseline.tolist(), canary.tolist(), 0.98)
    assert 0.75 < test.estimate < 1.25
    assert test.lower < 1 < test.upper
    assert 0.7 < test.effect < 0.85


@st.composite
def continuous(draw: st.DrawFn) -> Distribution:
    weights = draw(WEIGHTS)
    steps = draw(st.lists(st.integers(1, 5), min_size=len(weights), max_size=len(weights)))
    first = draw(st.integers(-5, 5))
    edges = tuple(float(edge) for edge in np.cumsum([first, *steps]))
    return Distribution(tuple(weights), edges)


@st.composite
def categorical(draw: st.DrawFn) -> Distribution:
    weights = draw(WEIGHTS)
    return Distribution(tuple(weights), categories=tuple("abcdefgh"[: len(weights)]))


@given(st.tuples(continuous(), continuous()) | st.tuples(categorical(), categorical()))
def test_the_distance_of_predictions_is_that_of_the_component_librarys_comparator(
    pair: tuple[Distribution, Distribution],
):
    bars = [Bars(bool(each.edges), each.edges or each.categories, each.weights) for each in pair]
    assert rmse(*pair) == pytest.approx(compare(*bars).rmse, abs=1e-9)
    assert [Distribution.from_json(each.to_json()) for each in pair] == list(pair)


def test_bins_to_infinity_are_left_out():
    tails = Distribution((5.0, 1.0, 1.0, 9.0), (-math.inf, 0.0, 1.0, 2.0, math.inf))
    assert rmse(tails, Distribution((2.0, 2.0), (0.0, 1.0, 2.0))) == 0
    assert Distribution.from_json(tails.to_json()) == tails


def test_kinds_that_cannot_be_compared_fail_with_the_reason():
    ours, theirs = Distribution((1.0,), (0.0, 1.0)), Distribution((1.0,), categories=("a",))
    compared = compare_predictions(CanaryOptions(predictions="p"), 0.1, ours.to_json(), theirs.to_json())
    assert compared.verdict is Verdict.FAIL
    assert "cannot be compared" in str(compared.numbers["error"])


def reported(name: str, payload: object, histograms: tuple[Histogram, ...] = ()) -> StructuredStatistic:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return StructuredStatistic(
        origin=Origin(mlapp_id="a", node_id="n", pipeline_instance_id="", agent_id="h"), producer_id="p", seq=0,
        event_time_ms=0, name=name, model_id="m", graph_type="BARGRAPH", mode="INSTANT", labels={},
        content_type="application/json", data=data, histograms=histograms,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"P": [{"0 to 1": 5}, {"1 to 2": 6}]}, Distribution((5.0, 6.0), (0.0, 1.0, 2.0))),
        ({"P": [{"-inf to 1": 5}, {"1 to inf": 6}]}, Distribution((5.0, 6.0), (-math.inf, 1.0, math.inf))),
        ({"P": [{"yes": 5}, {"no": 6}]}, Distribution((5.0, 6.0), categories=("yes", "no"))),
        ({"P": [{"0 to 1": 5}, {"2 to 3": 6}]}, Distribution((5.0, 6.0), categories=("0 to 1", "2 to 3"))),
    ],
)
def test_a_bar_graph_is_a_distribution(payload: object, expected: Distribution):
    assert Distribution.from_json(distribution_of(reported("P", payload))) == expected


def test_a_histogram_is_a_distribution():
    histogram = Histogram(
        feature="P", kind=HistogramKind.CONTINUOUS, edges=[0.0, 1.0, 2.0], categories=[], weights=[0.25, 0.75]
    )
    found = distribution_of(reported("P", {}, (histogram,)))
    assert Distribution.from_json(found) == Distribution((0.25, 0.75), (0.0, 1.0, 2.0))


@pytest.mark.parametrize("payload", [b"", b"\xff", [], {}, {"P": []}, {"P": 5}, {"P": [{"a": "x"}]}, {"P": [{"a": -1}]}, {"P": [{"a": 0}]}])  # fmt: skip
def test_what_is_no_distribution_is_none(payload: object):
    assert distribution_of(reported("P", payload)) == ""


@given(st.text(max_size=40) | st.recursive(st.none() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.sampled_from(("edges", "weights", "categories")), x)).map(json.dumps))  # fmt: skip
def test_any_text_is_a_distribution_or_refused(text: str):
    with contextlib.suppress(ValueError):
        assert isinstance(Distribution.from_json(text), Distribution)


LOW, HIGH = [1 + n / 100 for n in range(40)], [2 + n / 100 for n in range(40)]


@pytest.mark.parametrize(
    ("direction", "baseline", "canary", "verdict"),
    [
        ("increase", LOW, HIGH, Verdict.FAIL),
        ("increase", HIGH, LOW, Verdict.PASS),
        ("decrease", HIGH, LOW, Verdict.FAIL),
        ("decrease", LOW, HIGH, Verdict.PASS),
        ("either", LOW, HIGH, Verdict.FAIL),
        ("either", HIGH, LOW, Verdict.FAIL),
        ("either", LOW, LOW, Verdict.PASS),
        ("either", [1.0] * 9, [1.0] * 9, Verdict.PASS),
        ("either", LOW, [], Verdict.NO_DATA),
        ("either", LOW, [9.0], Verdict.PASS),
    ],
)
def test_a_metric_fails_when_it_is_worse_in_its_direction(
    direction: str, baseline: list[float], canary: list[float], verdict: Verdict
):
    compared = compare_metric(CanaryMetric("latency", direction=direction), baseline, canary)
    assert compared.verdict is verdict
    assert json.loads(json.dumps(dict(compared.numbers), allow_nan=False)) == dict(compared.numbers)


def test_a_metric_that_must_have_data_fails_without():
    assert compare_metric(CanaryMetric("latency", must_have_data=True), LOW, []).verdict is Verdict.FAIL


def test_an_effect_that_is_too_small_does_not_fail():
    strict = CanaryMetric("latency", effect_size=0.9)
    chance = np.random.default_rng(3)
    slightly = [float(value) for value in chance.normal(10.5, 1, 200)]
    before = [float(value) for value in chance.normal(10, 1, 200)]
    assert compare_metric(strict, before, slightly).verdict is Verdict.PASS
    assert compare_metric(CanaryMetric("latency"), before, slightly).verdict is Verdict.FAIL


def one(verdict: Verdict, weight: float = 1.0, *, critical: bool = False) -> Compared:
    return Compared("m", verdict, weight, critical, {})


@pytest.mark.parametrize(
    ("compared", "score", "verdict"),
    [
        ([one(Verdict.PASS), one(Verdict.PASS)], 100, Verdict.PASS),
        ([one(Verdict.PASS, 4), one(Verdict.FAIL)], 80, Verdict.MARGINAL),
        ([one(Verdict.PASS), one(Verdict.FAIL)], 50, Verdict.FAIL),
        ([one(Verdict.PASS, 99), one(Verdict.FAIL, critical=True)], 0, Verdict.FAIL),
        ([one(Verdict.PASS), one(Verdict.NO_DATA, 50)], 100, Verdict.PASS),
        ([one(Verdict.NO_DATA, critical=True)], 0, Verdict.NO_DATA),
        ([], 0, Verdict.NO_DATA),
    ],
)
def test_weights_make_the_score_and_the_score_the_verdict(
    compared: list[Compared], score: float, verdict: Verdict
):
    judgement = judge(CanaryOptions(), compared)
    assert (judgement.score, judgement.verdict) == (score, verdict)


def test_without_a_difference_a_canary_seldom_fails():
    """One look at one metric, 200 times."""
    chance = np.random.default_rng(11)
    failed = sum(
        compare_metric(
            CanaryMetric("latency"), chance.normal(10, 2, 50).tolist(), chance.normal(10, 2, 50).tolist()
        ).verdict
        is Verdict.FAIL
        for _ in range(200)
    )
    assert failed <= 8
