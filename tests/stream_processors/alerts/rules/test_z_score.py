"""``z_score``: how far is a statistic from where it usually is?"""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from .samples import each, rule_of, steps_of, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ["ewma", "mean", "median"]


def usual(count: int, seed: int = 1, mean: float = 10.0, deviation: float = 2.0) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(mean, deviation) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_far_out_fires_and_the_next_usual_one_resolves(kind: str):
    steps = steps_of(
        f"type: z_score, baseline: {kind}, beyond: 6", each(1_000, [*usual(100), 30.0, *usual(3, 2)])
    )
    assert [(step.state.value, step.at_ms) for step in steps] == [("firing", 100_000), ("resolved", 101_000)]
    assert steps[0].value == pytest.approx(10, rel=0.2)  # (30 - 10) / 2
    assert (steps[0].threshold, steps[1].threshold) == (6.0, math.copysign(6.0, steps[1].value))
    middle = "median" if kind == "median" else "mean"
    assert steps[0].reason.startswith(
        f"z-score of x is +{steps[0].value:.3g}, beyond ±6: 30 where the last 100 samples"
    )
    assert f"had a {middle} of " in steps[0].reason
    assert ", no longer beyond ±6: " in steps[1].reason


@pytest.mark.parametrize(
    ("side", "value", "expected"),
    [
        ("above: 6", 40, True), ("above: 6", -40, False), ("below: -6", -40, True), ("below: -6", 40, False),
        ("beyond: 6", 40, True), ("beyond: 6", -40, True), ("above: 6", math.inf, True), ("below: -6", math.inf, False),
        ("beyond: 6", -math.inf, True), ("above: 6", 1e308, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_sides(kind: str, side: str, value: float, *, expected: bool):
    text = f"type: z_score, baseline: {kind}, {side}"
    assert verdicts(text, each(1, [*usual(60), value]))[-1] is expected


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_known_before_the_baseline_has_its_samples(kind: str):
    text = f"type: z_score, baseline: {kind}, samples: 20, min_samples: 7, beyond: 3"
    assert verdicts(text, each(1, [1.0, math.inf, 2.0, 900.0, 1.0, 2.0, 1.0, 2.0, 1.0])) == [None] * 8 + [
        False
    ]


def after(rule: str, values: Sequence[float]) -> Any:
    core, detector = rule_of(rule), None
    for at, value in enumerate(values):
        detector, _ = core.judge(detector, at, value)
    return detector


def test_the_baseline_is_what_its_name_says():
    values = usual(180)
    text = "type: z_score, samples: 50, beyond: 30, baseline: "

    def explained(kind: str) -> str:
        rule = rule_of(text + kind)
        step = steps_of(text + kind, [*each(1, values), (500, 1e6)])[0]
        return rule.explain(after(text + kind, values), step, "x").reason

    last = values[-50:]
    mean, deviation = statistics.fmean(last), statistics.stdev(last)
    assert explained("mean").endswith(f"a mean of {mean:.4g} and a spread of {deviation:.3g}")
    middle = statistics.median(last)
    mad = 1.4826 * statistics.median(abs(value - middle) for value in last)
    assert explained("median").endswith(f"a median of {middle:.4g} and a spread of {mad:.3g}")
    # Long after its beginning, the weighted mean is that of pandas.
    long = usual(2_000)
    count, mean, variance = after(text + "ewma", long)[1]
    weighted = pd.Series(long).ewm(span=50)
    assert count == 50
    assert mean == pytest.approx(weighted.mean().iloc[-1])
    assert math.sqrt(variance) == pytest.approx(weighted.std(bias=True).iloc[-1], rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_outliers_do_not_hide_the_next_one(kind: str):
    values = usual(100)
    for at, calm in enumerate(usual(20, 3)):
        values += [1_000.0 if at % 10 == 0 else calm]
    found = verdicts(f"type: z_score, baseline: {kind}, beyond: 6", each(1, values))
    assert [at for at, verdict in enumerate(found) if verdict] == [100, 110]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [40.0, 1e6, 1e300])
@pytest.mark.parametrize("before", ["noisy", "constant"])
def test_a_new_level_is_usual_after_as_many_samples_as_a_baseline_has(kind: str, level: float, before: str):
    calm = usual(100) if before == "noisy" else [10.0] * 100
    values = [*calm, *(level * factor for factor in usual(200, 4, 1.0, 0.01))]
    text = f"type: z_score, samples: 50, baseline: {kind}, beyond: 6"
    assert (
        verdicts(text, each(1, values))
        == [None] * 30 + [False] * 70 + [True] * 50 + [None] * 30 + [False] * 120
    )
    steps = steps_of(text, each(1, values))
    assert [(step.state.value, step.at_ms) for step in steps] == [("firing", 100), ("resolved", 180)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("constant", [0.0, 0.1, -7e200])
def test_a_constant_has_a_small_spread_and_not_none(kind: str, constant: float):
    text = f"type: z_score, baseline: {kind}, beyond: 3"
    noise = constant + math.ulp(constant)
    found = verdicts(
        text, each(1, [*[constant] * 40, noise if constant else 0.0, constant + abs(constant) + 1])
    )
    assert found[-2:] == [False, True]
    patient = text + ", min_spread: 5.0e+200"
    assert not any(verdicts(patient, each(1, [*[constant] * 40, constant + 1e201])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [1, 3, 5])
def test_what_lies_beyond_a_near_limit_does_not_make_the_spread_collapse(kind: str, limit: int):
    """At 1 deviation a third of all samples are beyond, after many as well as at first."""
    found = verdicts(f"type: z_score, baseline: {kind}, beyond: {limit}", each(1, usual(4_000)))
    share = sum(verdict is True for verdict in found[2_000:]) / 2_000
    expected = math.erfc(limit / math.sqrt(2))
    assert share == pytest.approx(expected, abs=0.04)
