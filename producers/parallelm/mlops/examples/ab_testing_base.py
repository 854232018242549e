"""A/B test whether pipeline B converts better than pipeline A: a one-sided z-test of two proportions."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops import mlops
from parallelm.mlops.examples.utils import RunModes, latest, node_of, option, percent, running
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import quoted, refusing_call
from parallelm.mlops.stats._values import shown
from parallelm.mlops.stats.graph import MultiGraph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table

if TYPE_CHECKING:
    from datetime import datetime

CONFIDENCES: Final = (90, 95, 99)
_DEFAULT_CONFIDENCE: Final = 95
_CURVE_POINTS: Final = 201
_CURVE_DEVIATIONS: Final = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConversionTest:
    """Counts of samples and conversions of the baseline A and the challenger B; ``MLOpsException`` if they are impossible."""

    samples_a: float
    conversions_a: float
    samples_b: float
    conversions_b: float

    def __post_init__(self) -> None:
        for samples, conversions in (
            (self.samples_a, self.conversions_a),
            (self.samples_b, self.conversions_b),
        ):
            if not (0 < samples < math.inf and 0 <= conversions <= samples):
                raise MLOpsException(
                    f"{conversions} conversions of {samples} samples do not give a conversion rate"
                )

    @property
    def rate_a(self) -> float:
        """Conversion rate of A, 0 to 1."""
        return self.conversions_a / self.samples_a

    @property
    def rate_b(self) -> float:
        """Conversion rate of B, 0 to 1."""
        return self.conversions_b / self.samples_b

    @property
    def improvement(self) -> float:
        """Relative difference of B's rate to A's in percent; infinite if A converted nothing and B something."""
        if self.rate_a:
            return 100 * (self.rate_b / self.rate_a - 1)
        return math.inf if self.rate_b else 0.0

    @property
    def z_score(self) -> float:
        """Difference of the rates, in standard errors of the pooled rate."""
        pooled = (self.conversions_a + self.conversions_b) / (self.samples_a + self.samples_b)
        error = math.sqrt(pooled * (1 - pooled) * (1 / self.samples_a + 1 / self.samples_b))
        return (self.rate_b - self.rate_a) / error if error else 0.0

    @property
    def chance_to_beat(self) -> float:
        """100 minus the one-sided p-value, in percent, of the hypothesis that B is not better than A."""
        return 100 * NormalDist().cdf(self.z_score)

    def success(self, confidence: float, uplift: float = 0.0) -> bool:
        """Whether B beats A with this confidence (percent) and by this uplift (percent of A's rate)."""
        return self.chance_to_beat >= confidence and self.improvement >= uplift

    def curves(self) -> tuple[list[float], list[float], list[float]]:
        """A range of conversion rates, and the densities of A's and B's estimates over it."""
        estimates = [
            # A rate of 0 or 1 has no variance: then half a sample is added.
            NormalDist(rate, max(math.sqrt(rate * (1 - rate) / samples), 0.5 / samples))
            for rate, samples in ((self.rate_a, self.samples_a), (self.rate_b, self.samples_b))
        ]
        low = min(estimate.mean - _CURVE_DEVIATIONS * estimate.stdev for estimate in estimates)
        high = max(estimate.mean + _CURVE_DEVIATIONS * estimate.stdev for estimate in estimates)
        rates = [low + (high - low) * step / (_CURVE_POINTS - 1) for step in range(_CURVE_POINTS)]
        a, b = ([estimate.pdf(rate) for rate in rates] for estimate in estimates)
        return rates, a, b


class statsCalculator:  # noqa: N801 - the name that components import
    """The test as components call it: ``exptOutcome``, then ``calConfidence`` and ``calSuccess``."""

    def __init__(self) -> None:
        self._test: ConversionTest | None = None

    def exptOutcome(  # noqa: N802 - as the class
        self,
        samples_control: float,
        conv_samples_control: float,
        samples_B: float,  # noqa: N803 - as the class
        conv_samples_B: float,  # noqa: N803 - as the class
        confidence: float = _DEFAULT_CONFIDENCE,
    ) -> None:
        """Take the counts of the control group and of group B; raises ``MLOpsException`` for impossible ones."""
        _check_confidence(confidence)
        self._test = ConversionTest(samples_control, conv_samples_control, samples_B, conv_samples_B)

    def calConfidence(self) -> float:  # noqa: N802 - as the class
        """100 minus the one-sided p-value, in percent, of the hypothesis that B is not better than the control group."""
        return self._outcome().chance_to_beat

    def calSuccess(self, value: float) -> bool:  # noqa: N802 - as the class
        """Whether B is better, with a confidence above ``value`` percent."""
        return self.calConfidence() > value and self._outcome().improvement > 0

    def _outcome(self) -> ConversionTest:
        if self._test is None:
            raise MLOpsException("there is no outcome yet: call exptOutcome() first")
        return self._test


def _check_confidence(confidence: float) -> None:
    if confidence not in CONFIDENCES:
        raise MLOpsException(f"confidence must be one of {CONFIDENCES}, not {quoted(confidence)}")


@refusing_call
def ab_test(
    options: Any, start: datetime, end: datetime, mode: RunModes | str = RunModes.PYTHON
) -> ConversionTest | None:
    """Test whether ``options.nodeB`` converts better than the baseline ``options.nodeA``, and report the result.

    The latest values between ``start`` and ``end`` of the statistics ``options.samplesA``, ``conversionsA``,
    ``samplesB`` and ``conversionsB`` are taken: report running totals under these names. ``confidence`` is 90, 95 or
    99 percent, ``uplift`` the improvement in percent that counts as success; ``agentA`` and ``agentB`` name agents by id
    or host (the first of the node otherwise); ``champion`` and ``challenger`` are the names of A and B in the
    table and the alert, those of the nodes otherwise. Returns None when a total is missing.
    """
    confidence = percent(options, "confidence", _DEFAULT_CONFIDENCE)
    _check_confidence(confidence)
    uplift = percent(options, "uplift", 0.0)
    with running(mode, "ab-testing"):
        totals = [
            _total(options, total, which, start, end)
            for which in "AB"
            for total in ("samples", "conversions")
        ]
        samples_a, conversions_a, samples_b, conversions_b = totals
        if samples_a is None or conversions_a is None or samples_b is None or conversions_b is None:
            _log.warning(
                "no A/B test: not both pipelines reported their totals between %s and %s", start, end
            )
            return None
        result = ConversionTest(samples_a, conversions_a, samples_b, conversions_b)
        names = (
            shown(option(options, "champion", node_of(options, "A")), "option champion"),
            shown(option(options, "challenger", node_of(options, "B")), "option challenger"),
        )
        report_test(result, confidence, uplift, names)
        return result


def _total(options: Any, total: str, which: str, start: datetime, end: datetime) -> float | None:
    name = option(options, f"{total}{which}", total)
    row = latest(name, node_of(options, which), option(options, f"agent{which}"), start, end)
    return None if row is None else float(row["value"])


def report_test(result: ConversionTest, confidence: float, uplift: float, nodes: tuple[str, str]) -> None:
    """Report curves, rates, table and success; a data alert too when B succeeded."""
    rates, curve_a, curve_b = result.curves()
    a, b = nodes if nodes[0] != nodes[1] else (f"{nodes[0]} (A)", f"{nodes[1]} (B)")  # two agents of one node
    graph = MultiGraph().name("AB").x_title("Conversion Rate (%)").y_title("Density")
    percents = [100 * rate for rate in rates]
    # The lines are named after A and B, not after the champion, so that they continue when the champion changes.
    mlops.set_stat(graph.add_series(percents, curve_a, "A").add_series(percents, curve_b, "B"))
    rate_a, rate_b = 100 * result.rate_a, 100 * result.rate_b
    mlops.set_stat(MultiLineGraph().name("ConversionRate").labels(["A", "B"]).data([rate_a, rate_b]))
    table = Table().name("AB Stats")
    table.cols(
        [
            "Samples Processed",
            "Conversions",
            "Conversion Rate (%)",
            "Improvement (%)",
            "Chance to beat baseline (%)",
        ]
    )
    table.add_row(a, [result.samples_a, result.conversions_a, rate_a, "-", "-"])
    table.add_row(
        b, [result.samples_b, result.conversions_b, rate_b, result.improvement, result.chance_to_beat]
    )
    mlops.set_stat(table)
    success = result.success(confidence, uplift)
    mlops.set_stat("Success", int(success))
    if success:
        mlops.data_alert(
            "AB Test",
            f"{b} beats {a}: {rate_b:.4g} % against {rate_a:.4g} % conversions, at {confidence:g} % confidence",
        )
