"""Lines of the contract: the canary comparator and the A/B test."""

from __future__ import annotations

from statistics import NormalDist
from types import SimpleNamespace
from typing import Final

from parallelm.mlops.examples.ab_testing_base import ConversionTest, ab_test, report_test, statsCalculator
from parallelm.mlops.examples.canary_comparator_base import (
    Bars,
    canary_comparator,
    compare,
    report_comparison,
)
from parallelm.mlops.examples.utils import RunModes
from tests.producers.contract.event_lines import canary, event
from tests.producers.contract.line import FIRST, LAST, REFUSED, Line, scalar
from tests.producers.contract.statistic_lines import graph_text

COMPARISON: Final = compare(Bars(True, (0.0, 0.5, 1.0), (1.0, 9.0)), Bars(True, (0.0, 0.5, 1.0), (5.0, 5.0)))
RMSE: Final = COMPARISON.rmse
COMPARED: Final = (
    "Main Pipeline, BARGRAPH, INSTANT, {'Main Pipeline': [{'0.0 to 0.5': 0.1}, {'0.5 to 1.0': 0.9}]}",
    "Canary Pipeline, BARGRAPH, INSTANT, {'Canary Pipeline': [{'0.0 to 0.5': 0.5}, {'0.5 to 1.0': 0.5}]}",
    graph_text(
        "Prediction Histograms",
        [0.0, 0.5],
        ("Main Pipeline", [0.1, 0.9]),
        ("Canary Pipeline", [0.5, 0.5]),
        titles=("Predictions", "Normalized Frequency"),
    ),
    scalar("RMSE", RMSE),
    canary(
        "Canary Alert",
        "Canary prediction distributions diverge with a threshold set to 0.5",
        "false",
        repr(RMSE),
        "prediction",
    ).replace('"threshold": 0.1', '"threshold": 0.5'),
)
NODES: Final = SimpleNamespace(
    nodeA="Training",
    nodeB="train",
    agentA="host-1",
    predictionHistogramB="canary bars",
    samplesA="samples",
    samplesB="samples",
    conversionsA="conversions of A",
    conversionsB="conversions of B",
    confidence=95,
)
TEST: Final = ConversionTest(1000.0, 200.0, 1000.0, 260.0)
CHANCE: Final = round(100 * NormalDist().cdf(0.06 / (0.23 * 0.77 * 2 / 1000) ** 0.5), 9)


def calculated() -> statsCalculator:
    """An A/B test in steps."""
    calculator = statsCalculator()
    calculator.exptOutcome(1000, 200, 1000, 260, 95)
    return calculator


def _tested() -> tuple[str, ...]:
    rates, a, b = TEST.curves()
    axes = ("Conversion Rate (%)", "Density")
    columns = '"Samples Processed":1000.0, "Conversions":{}, "Conversion Rate (%)":{}, "Improvement (%)":{}, '
    columns += '"Chance to beat baseline (%)":{}'
    rows = (
        columns.format(200.0, 20.0, '"-"', '"-"'),
        columns.format(260.0, 26.0, TEST.improvement, TEST.chance_to_beat),
    )
    description = "train beats Training: 26 % against 20 % conversions, at 95 % confidence"
    return (
        graph_text("AB", [100 * rate for rate in rates], ("A", a), ("B", b), titles=axes),
        "ConversionRate, MULTILINEGRAPH, TIME_SERIES, {'A': 20.0, 'B': 26.0}",
        f'AB Stats, MATRIX, INSTANT, {{"Training":{{{rows[0]}}}, "train":{{{rows[1]}}}}}',
        scalar("Success", 1),
        event(52, "AB Test", description, "null"),
    )


TESTED: Final = _tested()
COMPARATORS: Final = {
    "examples.canary_comparator_base.Bars": Line(lambda: Bars(True, (0, 1), (1, 2)), answers=REFUSED),
    "examples.canary_comparator_base.compare": Line(
        lambda: compare(Bars(False, ("a",), (1,)), Bars(False, ("b",), (3,))).rmse, answers=2**0.5
    ),
    "examples.canary_comparator_base.Comparison.rmse": Line(lambda: COMPARISON.rmse, answers=RMSE),
    "examples.canary_comparator_base.report_comparison": Line(
        lambda: report_comparison(COMPARISON, 0.5), COMPARED
    ),
    "examples.canary_comparator_base.canary_comparator": Line(
        lambda: canary_comparator(NODES, FIRST, LAST, RunModes.PYTHON).rmse,  # type: ignore[union-attr]
        answers=REFUSED,
        connected=RMSE,
        adds=COMPARED,
        asks=True,
    ),
    "examples.ab_testing_base.report_test": Line(
        lambda: report_test(TEST, 95, 0.0, ("Training", "train")), TESTED
    ),
    "examples.ab_testing_base.ab_test": Line(
        lambda: round(ab_test(NODES, FIRST, LAST, RunModes.PYTHON).chance_to_beat, 9),  # type: ignore[union-attr]
        answers=REFUSED,
        connected=CHANCE,
        adds=TESTED,
        asks=True,
    ),
    "examples.ab_testing_base.statsCalculator.exptOutcome": Line(
        lambda: statsCalculator().exptOutcome(1000, 200, 1000, 260, 80), answers=REFUSED
    ),
    "examples.ab_testing_base.statsCalculator.calConfidence": Line(
        lambda: round(calculated().calConfidence(), 9), answers=CHANCE
    ),
    "examples.ab_testing_base.statsCalculator.calSuccess": Line(
        lambda: [calculated().calSuccess(95), calculated().calSuccess(99.99)], answers=[True, False]
    ),
}
