"""The verdict on a canary: each metric passes or fails, weights make a score, the score passes or not.

As Kayenta's judge: a metric is ``high`` or ``low`` when the confidence interval of the shift lies beyond ``tolerance``
times the estimate, and the effect is large enough; only the metric's direction counts. The score is the weighted share
of passing metrics among those with data, in percent; a failing critical metric makes it 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from parallelm.stream_processors.model_policy.analysis.distributions import Distribution, rmse
from parallelm.stream_processors.model_policy.analysis.mann_whitney import shift_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.model_policy.settings import CanaryMetric, CanaryOptions


class Verdict(StrEnum):
    """What a comparison says."""

    PASS = "pass"  # noqa: S105 - a verdict
    MARGINAL = "marginal"
    FAIL = "fail"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric, or the predictions."""

    name: str
    verdict: Verdict
    weight: float
    critical: bool
    numbers: Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True)
class Judgement:
    """All of a canary."""

    verdict: Verdict
    score: float
    """0 to 100."""
    compared: tuple[Compared, ...]

    def evidence(self) -> dict[str, object]:
        """For the decision's record."""
        return {
            "verdict": self.verdict.value,
            "score": self.score,
            "metrics": [
                {
                    "metric": each.name,
                    "verdict": each.verdict.value,
                    "weight": each.weight,
                    "critical": each.critical,
                }
                | dict(each.numbers)
                for each in self.compared
            ],
        }

    def summary(self) -> str:
        """In a few words."""
        failing = [each.name for each in self.compared if each.verdict is Verdict.FAIL]
        worse = f"; worse: {', '.join(failing)}" if failing else ""
        return f"score {self.score:g} of 100{worse}"


def compare_metric(metric: CanaryMetric, baseline: Sequence[float], canary: Sequence[float]) -> Compared:
    """One metric by the Mann-Whitney test."""
    counts: dict[str, float | int | str] = {"baseline_samples": len(baseline), "canary_samples": len(canary)}
    if not baseline or not canary:
        verdict = Verdict.FAIL if metric.must_have_data else Verdict.NO_DATA
        return Compared(metric.metric, verdict, metric.weight, metric.critical, counts)
    test = shift_test(baseline, canary, metric.confidence)
    bound = metric.tolerance * abs(test.estimate)
    high = test.lower > bound and test.effect >= metric.effect_size
    low = test.upper < -bound and 1 - test.effect >= metric.effect_size
    failed = (high and metric.direction != "decrease") or (low and metric.direction != "increase")
    numbers = {
        "p_value": test.p_value,
        "shift": test.estimate,
        "shift_from": test.lower,
        "shift_to": test.upper,
        "effect_size": test.effect,
    }
    return Compared(
        metric.metric,
        Verdict.FAIL if failed else Verdict.PASS,
        metric.weight,
        metric.critical,
        counts
        | {name: value if abs(value) != float("inf") else str(value) for name, value in numbers.items()},
    )


def compare_predictions(options: CanaryOptions, threshold: float, baseline: str, canary: str) -> Compared:
    """The latest prediction distributions by their RMSE."""
    name, weight = options.predictions, options.predictions_weight
    if not baseline or not canary:
        return Compared(name, Verdict.NO_DATA, weight, critical=False, numbers={})
    try:
        distance = rmse(Distribution.from_json(baseline), Distribution.from_json(canary))
    except ValueError as error:
        return Compared(name, Verdict.FAIL, weight, critical=False, numbers={"error": str(error)})
    verdict = Verdict.PASS if distance <= threshold else Verdict.FAIL
    return Compared(name, verdict, weight, critical=False, numbers={"rmse": distance, "threshold": threshold})


def judge(options: CanaryOptions, compared: Sequence[Compared]) -> Judgement:
    """Verdict on all comparisons; without data on any, there is none."""
    with_data = [each for each in compared if each.verdict is not Verdict.NO_DATA]
    if not with_data:
        return Judgement(Verdict.NO_DATA, 0.0, tuple(compared))
    passing = sum(each.weight for each in with_data if each.verdict is Verdict.PASS)
    score = 100 * passing / sum(each.weight for each in with_data)
    if any(each.critical and each.verdict is Verdict.FAIL for each in with_data):
        score = 0.0
    if score >= options.pass_score:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.MARGINAL if score >= options.marginal_score else Verdict.FAIL
    return Judgement(verdict, score, tuple(compared))
