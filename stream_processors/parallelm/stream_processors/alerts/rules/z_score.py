"""``z_score``: a statistic must not be far from where it usually is, measured in how much it usually varies.

A sample is compared with the baseline of those before it, and becomes part of it unless it lies too far out: a breach must not
hide the next one. When as many samples in a row lie too far out as a baseline has, they are what is usual now, and the
baseline begins anew.
"""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.stream_processors.alerts.explaining import beside
from parallelm.stream_processors.alerts.limits import Limit, bounded
from parallelm.stream_processors.alerts.rules import Explanation, SampleRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rule import RuleSettings

LEAST_REACH = 3.0
"""Spreads from the centre within which a sample becomes part of the baseline, for limits that are nearer too: leaving out more
would make the spread smaller and smaller."""
MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution: standard deviation ÷ median absolute deviation (Rousseeuw and Croux, 1993)."""
RELATIVE_FLOOR = 1e-6
"""A spread is at least this part of the centre: a constant has none, and floating-point noise is no news."""
_SMALLEST_SPREAD = 1e-150


class Baseline(NamedTuple):
    """Where samples usually are."""

    seen: int
    centre: float
    spread: float


class ZScoreRule(SampleRule, type_name="z_score"):
    """Remembers how many samples in a row were too far out, and the baseline: three numbers, or its samples."""

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._limit = Limit.of(parameters)
        self._samples = int(parameters["samples"])
        self._min_samples = int(parameters["min_samples"])
        self._min_spread = float(parameters["min_spread"])
        self._kind: str = parameters["baseline"]
        self._reach = max(LEAST_REACH, abs(self._limit.number))
        self.memory_bytes = 100 if self._kind == "ewma" else 50 + 26 * self._samples

    def judge(self, detector: Any, at_ms: float, value: float) -> tuple[Any, bool | None]:  # noqa: ARG002 - of all types
        """Whether the score is on the wrong side; unknown until the baseline has enough samples."""
        run, numbers = detector or (0, ())
        found = self._baseline(numbers)
        if found.seen < self._min_samples:
            return (0, self._learned(numbers, bounded(value)) if math.isfinite(value) else numbers), None
        score = _score(value, found)
        breached = self._limit.is_breached_by(score)
        if abs(score) <= self._reach:
            return (0, self._learned(numbers, bounded(value))), breached
        if run + 1 < self._samples:
            return (run + 1, numbers), breached
        return (0, ()), breached

    def explain(self, detector: Any, step: Step, statistic: str) -> Explanation:
        """The score, and the baseline that it comes from."""
        found = self._baseline(detector[1])
        score = _score(step.value, found)
        limit = beside(self._limit.words(f"{self._limit.number:g}"), step, self.settings.timing.for_ms)
        what = "medians" if self._kind == "median" else "means"
        reason = (
            f"z-score of {statistic} is {score:+.3g}, {limit}: {step.value:.4g} where the last {found.seen} samples had "
            f"a {what[:-1]} of {found.centre:.4g} and a spread of {found.spread:.3g}"
        )
        return Explanation(score, self._limit.nearest(score), reason)

    def _baseline(self, numbers: Sequence[float]) -> Baseline:
        if not numbers:
            return Baseline(0, 0.0, 0.0)
        if self._kind == "ewma":
            count, centre, variance = numbers
            spread = math.sqrt(max(variance, 0.0))
        elif self._kind == "mean":
            count, centre = len(numbers), fmean(numbers)
            squares = math.fsum((number - centre) ** 2 for number in numbers)
            spread = math.sqrt(squares / max(count - 1, 1))
        else:
            count, centre = len(numbers), median(numbers)
            spread = MAD_TO_DEVIATION * median(abs(number - centre) for number in numbers)
        floor = max(self._min_spread, RELATIVE_FLOOR * abs(centre), _SMALLEST_SPREAD)
        return Baseline(int(count), centre, max(spread, floor))

    def _learned(self, numbers: Sequence[float], value: float) -> Sequence[float]:
        if self._kind != "ewma":
            return (*numbers[1 - self._samples :], value)
        count, mean, variance = numbers or (0, 0.0, 0.0)
        # The first samples count alike; West (1979) and Finch (2009) give the update of the variance.
        weight = max(1 / (count + 1), 2 / (self._samples + 1))
        deviation = value - mean
        variance = (1 - weight) * (variance + weight * deviation * deviation)
        return min(count + 1, self._samples), mean + weight * deviation, variance


def _score(value: float, baseline: Baseline) -> float:
    number = value if math.isinf(value) else bounded(value)
    return (number - baseline.centre) / baseline.spread
