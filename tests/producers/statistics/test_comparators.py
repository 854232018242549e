"""Canary comparator and A/B test: their figures against scipy and statsmodels, and what they report."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from parallelm.mlops import mlops
from parallelm.mlops.examples.ab_testing_base import ConversionTest, ab_test, report_test, statsCalculator
from parallelm.mlops.examples.canary_comparator_base import (
    Bars,
    canary_comparator,
    compare,
    report_comparison,
)
from parallelm.mlops.examples.utils import RunModes
from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, list[str]]]]:
    """Stand-alone lines by the name of their statistic, each from its graph type on."""
    output = tmp_path / "mlops.txt"
    monkeypatch.setenv("PM_MLOPS_FILE", str(output))
    monkeypatch.delenv("PM_MLOPS_MODE", raising=False)
    mlops.init()

    def lines() -> dict[str, list[str]]:
        mlops.done()
        found: dict[str, list[str]] = {}
        for line in output.read_text().splitlines():
            _, name, rest = line.split(", ", 2)
            found.setdefault(name, []).append(rest)
        return found

    yield lines
    if mlops.init_called:
        mlops.done()


def continuous(edges: Any, weights: Any) -> Bars:
    return Bars(True, tuple(map(float, edges)), tuple(map(float, weights)))


def test_equal_edges_give_the_root_of_the_squared_differences() -> None:
    main, canary = np.array([2.0, 6, 2]), np.array([1.0, 1, 2])
    comparison = compare(continuous([0, 1, 2, 3], main), continuous([0, 1, 2, 3], canary))
    expected = math.sqrt((((main / main.sum()) - (canary / canary.sum())) ** 2).sum())
    assert comparison.rmse == pytest.approx(expected)


@dataclass
class Agent:
    id: str
    hostname: str


START, END = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str, str], pd.DataFrame]:
    """What ``get_stats`` answers, by (statistic, node, agent)."""
    known: dict[tuple[str, str, str], pd.DataFrame] = {}

    def get_stats(
        name: str, mlapp_node: str, agent: str, start_time: datetime, end_time: datetime
    ) -> pd.DataFrame:
        assert (start_time, end_time) == (START, END)
        return known.get((name, mlapp_node, agent), pd.DataFrame())

    agents = {"main": [Agent("a1", "host-1"), Agent("a2", "host-2")], "new": [Agent("b1", "host-1")]}
    monkeypatch.setattr(mlops, "get_stats", get_stats)
    monkeypatch.setattr(mlops, "get_agents", lambda node: agents.get(node, []))
    monkeypatch.setattr(
        mlops, "get_mlapp_policy", lambda: SimpleNamespace(canary_threshold=0.3), raising=False
    )
    return known


def bars_frame(hist_type: str, places: list[Any], *weights: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": range(len(weights), 0, -1),
            "hist_type": hist_type,
            "hist_values": list(weights),
            "bin_edges": [places] * len(weights),
            "stat_name": "h",
        }
    )


@pytest.mark.parametrize("hist_type", ["continuous", "categorical"])
def test_the_canary_comparator_takes_the_latest_histogram_of_each_node(
    printed: Any, frames: dict[Any, pd.DataFrame], hist_type: str
) -> None:
    places = [-math.inf, 0, 1, 2] if hist_type == "continuous" else ["x", "y", "z"]
    frames["PredictionHistogram", "main", "a1"] = bars_frame(hist_type, places, [0, 1, 1], [9, 9, 0])
    frames["mine", "new", "b1"] = bars_frame(hist_type, places, [0, 3, 1])
    options = SimpleNamespace(nodeA="main", nodeB="new", agentB="host-1", predictionHistogramB="mine")
    comparison = canary_comparator(options, START, END, RunModes.PYTHON)
    assert comparison is not None
    assert comparison.rmse == pytest.approx(math.sqrt(2) / 4)
    lines = printed()
    assert '"isHealthy": false' in lines["Canary Alert"][0]


def test_a_comparator_without_data_reports_nothing(printed: Any, frames: dict[Any, pd.DataFrame]) -> None:
    frames["PredictionHistogram", "main", "a1"] = bars_frame("categorical", ["x"], [1])
    assert canary_comparator(SimpleNamespace(nodeA="main", nodeB="new"), START, END) is None
    assert ab_test(SimpleNamespace(nodeA="main", nodeB="new"), START, END) is None
    assert printed() == {}


def test_the_ab_test_takes_the_latest_totals(printed: Any, frames: dict[Any, pd.DataFrame]) -> None:
    for (node, agent, which), samples, conversions in [
        (("main", "a2", "A"), [500, 1000], [60, 100]),
        (("new", "b1", "B"), [1000], [140]),
    ]:
        frames[f"n{which}", node, agent] = pd.DataFrame({"time": range(len(samples)), "value": samples})
        frames[f"c{which}", node, agent] = pd.DataFrame({"time": range(len(samples)), "value": conversions})
    options = SimpleNamespace(
        nodeA="main",
        nodeB="new",
        agentA="a2",
        agentB="",
        samplesA="nA",
        samplesB="nB",
        conversionsA="cA",
        conversionsB="cB",
        confidence="99",
        uplift="40",
        champion="A",
        challenger="the new one",
    )
    assert ab_test(options, START, END, "python") == ConversionTest(1000, 100, 1000, 140)
    lines = printed()
    assert lines["Success"] == ["LINEGRAPH, TIME_SERIES, {'Success': 1} "]
    assert list(json.loads(lines["AB Stats"][0].removeprefix("MATRIX, INSTANT, "))) == ["A", "the new one"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: ab_test(SimpleNamespace(nodeA="main", nodeB="new", confidence=80), START, END),
        lambda: ab_test(SimpleNamespace(nodeA="main", nodeB="new", confidence="high"), START, END),
        lambda: ab_test(SimpleNamespace(nodeA="main", nodeB="new", uplift="much"), START, END),
        lambda: ab_test(SimpleNamespace(nodeA="main"), START, END),
        lambda: canary_comparator(SimpleNamespace(), START, END),
        lambda: canary_comparator(SimpleNamespace(nodeA="main", agentA="host-9", nodeB="new"), START, END),
        lambda: canary_comparator(SimpleNamespace(nodeA="nowhere", nodeB="new"), START, END),
    ],
)
def test_options_that_make_no_sense_raise(
    printed: Any, frames: dict[Any, pd.DataFrame], call: Callable[[], object]
) -> None:
    frames["samples", "main", "a1"] = frames["conversions", "main", "a1"] = pd.DataFrame(
        {"time": [1], "value": [1]}
    )
    frames["PredictionHistogram", "main", "a1"] = bars_frame("categorical", ["x"], [1])
    with pytest.raises(MLOpsException):
        call()
    assert printed() == {}


def test_an_unknown_run_mode_raises() -> None:
    with pytest.raises(MLOpsException):
        ab_test(SimpleNamespace(nodeA="main", nodeB="new"), START, END, "mainframe")


edges = st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True).map(sorted)


@given(st.data())
def test_merged_bins_hold_the_mass_that_scipy_finds_between_their_edges(data: st.DataObject) -> None:
    bars = []
    for places in (data.draw(edges), data.draw(edges)):
        weights = data.draw(st.lists(st.integers(1, 100), min_size=len(places) - 1, max_size=len(places) - 1))
        bars.append(continuous(places, weights))
    comparison = compare(*bars)
    for before, after in zip(bars, (comparison.main, comparison.canary), strict=True):
        distribution = stats.rv_histogram((np.array(before.weights), np.array(before.places)), density=False)
        np.testing.assert_allclose(after.weights, np.diff(distribution.cdf(after.places)), atol=1e-12)
    assert comparison.rmse == pytest.approx(compare(bars[1], bars[0]).rmse)
    assert compare(bars[0], bars[0]).rmse == 0


def test_bins_that_reach_to_infinity_are_left_out() -> None:
    inner = continuous([0, 1, 2], [1, 3])
    assert compare(continuous([-math.inf, 0, 1, 2, math.inf], [9, 1, 3, 5]), inner).rmse == 0


def test_categories_are_matched_by_name() -> None:
    comparison = compare(Bars(False, ("a", "b"), (1.0, 1.0)), Bars(False, ("c", "b"), (3.0, 1.0)))
    assert comparison.main.places == ("a", "b", "c")
    assert comparison.rmse == pytest.approx(math.sqrt(0.5**2 + 0.25**2 + 0.75**2))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Bars(True, (0.0, 1.0), (1.0, 1.0)),
        lambda: Bars(False, ("a",), (1.0, 1.0)),
        lambda: compare(Bars(False, ("a",), (1.0,)), continuous([0, 1], [1])),
        lambda: compare(continuous([0, 1], [0]), continuous([0, 1], [1])),
        lambda: compare(continuous([-math.inf, 1], [1]), continuous([0, 1], [1])),
        lambda: compare(continuous([-math.inf, 0, math.inf], [1, 1]), continuous([0, 1], [1])),
        lambda: ConversionTest(0, 0, 10, 1),
        lambda: ConversionTest(10, 11, 10, 1),
        lambda: ConversionTest(10, -1, 10, 1),
        lambda: ConversionTest(math.nan, 1, 10, 1),
    ],
)
def test_figures_that_make_no_sense_raise(call: Callable[[], object]) -> None:
    with pytest.raises(MLOpsException):
        call()


@pytest.mark.parametrize(("threshold", "healthy"), [(0.5, True), (0.1, False), (-1, None), (None, None)])
def test_the_canary_comparison_is_reported(
    printed: Any, threshold: float | None, healthy: bool | None
) -> None:
    comparison = compare(continuous([0, 1, 2], [1, 1]), continuous([0, 1, 2], [3, 1]))
    report_comparison(comparison, threshold)
    lines = printed()
    assert lines["Main Pipeline"] == [
        "BARGRAPH, INSTANT, {'Main Pipeline': [{'0.0 to 1.0': 0.5}, {'1.0 to 2.0': 0.5}]} "
    ]
    assert lines["Canary Pipeline"] == [
        "BARGRAPH, INSTANT, {'Canary Pipeline': [{'0.0 to 1.0': 0.75}, {'1.0 to 2.0': 0.25}]} "
    ]
    assert lines["RMSE"] == [f"LINEGRAPH, TIME_SERIES, {{'RMSE': {math.sqrt(0.125)}}} "]
    assert lines["Prediction Histograms"][0].startswith("GENERAL_GRAPH, INSTANT, OrderedDict(")
    alerts = lines.get("Canary Alert", [])
    assert len(alerts) == (healthy is not None)
    if healthy is not None:
        alert = json.loads(alerts[0][alerts[0].index("{") :])
        assert alert["data"]["isHealthy"] is healthy
        assert alert["data"]["histogramComparison"]["threshold"] == threshold


counts = st.tuples(st.integers(2, 10_000), st.integers(1, 9_999)).map(
    lambda pair: (pair[0] + pair[1], pair[1])
)


@given(counts, counts)
def test_the_z_test_is_that_of_statsmodels(a: tuple[int, int], b: tuple[int, int]) -> None:
    result = ConversionTest(*a, *b)
    z, p_value = proportions_ztest([b[1], a[1]], [b[0], a[0]], alternative="larger")
    assert result.z_score == pytest.approx(z, abs=1e-9)
    assert result.chance_to_beat == pytest.approx(100 * (1 - p_value), abs=1e-9)
    assert result.improvement == pytest.approx(100 * (result.rate_b - result.rate_a) / result.rate_a)


@pytest.mark.parametrize(
    ("counts", "confidence", "uplift", "success"),
    [
        ((1000, 100, 1000, 130), 95, 0, True),
        ((1000, 100, 1000, 130), 99, 0, False),
        ((1000, 100, 1000, 130), 95, 31, False),
        ((1000, 130, 1000, 100), 90, 0, False),
        ((1000, 0, 1000, 0), 90, 0, False),
        ((1000, 1000, 1000, 1000), 90, 0, False),
        ((1000, 0, 1000, 10), 99, 50, True),
    ],
)
def test_b_succeeds_when_it_beats_a_surely_and_by_enough(
    counts: tuple[int, int, int, int], confidence: float, uplift: float, success: bool
) -> None:
    assert ConversionTest(*counts).success(confidence, uplift) is success


def test_the_curves_are_the_densities_of_both_rates() -> None:
    result = ConversionTest(1000, 100, 500, 60)
    rates, a, b = result.curves()
    np.testing.assert_allclose(a, stats.norm(0.1, math.sqrt(0.1 * 0.9 / 1000)).pdf(rates))
    np.testing.assert_allclose(b, stats.norm(0.12, math.sqrt(0.12 * 0.88 / 500)).pdf(rates))


@pytest.mark.parametrize(("conversions", "success"), [(130, 1), (101, 0)])
def test_the_ab_test_is_reported(printed: Any, conversions: int, success: int) -> None:
    report_test(ConversionTest(1000, 100, 1000, conversions), 95, 0, ("main", "challenger"))
    lines = printed()
    assert lines["Success"] == [f"LINEGRAPH, TIME_SERIES, {{'Success': {success}}} "]
    assert lines["ConversionRate"] == [
        f"MULTILINEGRAPH, TIME_SERIES, {{'A': 10.0, 'B': {100 * (conversions / 1000)}}} "
    ]
    table = json.loads(lines["AB Stats"][0].removeprefix("MATRIX, INSTANT, "))
    assert list(table["main"]) == [
        "Samples Processed",
        "Conversions",
        "Conversion Rate (%)",
        "Improvement (%)",
        "Chance to beat baseline (%)",
    ]
    assert table["challenger"]["Improvement (%)"] == pytest.approx(conversions - 100)
    assert lines["AB"][0].startswith("GENERAL_GRAPH")
    assert ("AB Test" in lines) == bool(success)


def test_an_ab_test_may_be_computed_step_by_step() -> None:
    calculator = statsCalculator()
    with pytest.raises(MLOpsException):
        calculator.calConfidence()
    calculator.exptOutcome(80000, 1600, 80000, 1700, 95)
    _, p = proportions_ztest([1700, 1600], [80000, 80000], alternative="larger")
    assert calculator.calConfidence() == pytest.approx(100 * (1 - p))
    assert (calculator.calSuccess(95), calculator.calSuccess(99)) == (True, False)
    with pytest.raises(MLOpsException):
        calculator.exptOutcome(80000, 1600, 80000, 1700, 80)
    with pytest.raises(MLOpsException):
        calculator.exptOutcome(0, 0, 80000, 1700, 95)
