"""Data distribution: kinds of features, bins, similarity, analysis and heat map, against plain numpy and pandas."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from parallelm.mlops._distribution import distribution_reports
from parallelm.mlops._distribution.histograms import Numbers, continuous_edges, continuous_histogram
from parallelm.mlops._distribution.similarity import similarity_score
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.schemas.records import Histogram, HistogramKind

RANDOM = np.random.default_rng(20130101)


def reported(data: Any, training: Any = None) -> dict[str, Any]:
    return {report.name: report for report in distribution_reports(data, training)}


def histograms(data: Any, training: Any = None) -> dict[str, Histogram]:
    return {
        histogram.feature: histogram
        for name, report in reported(data, training).items()
        if name.endswith("Histogram")
        for histogram in report.histograms
    }


def table(report: Any) -> dict[str, Any]:
    return dict(json.loads(report.payload))


def test_the_stand_alone_line_of_categories_is_as_programs_parse_it() -> None:
    frame = pd.DataFrame({"k": list("a" * 7 + "b" * 6 + "c" * 7) * 20, "n": [0] * 87 + [1] * 313})
    report = reported(frame)["categoricalDataHistogram"]
    assert (report.graph_type, report.mode) == ("BARGRAPH", "INSTANT")
    assert report.text == "{'k': [{'a': 0.35}, {'b': 0.3}, {'c': 0.35}], 'n': [{'0': 0.2175}, {'1': 0.7825}]}"
    assert json.loads(report.payload) == eval(report.text)  # noqa: S307 - our own text


def test_a_continuous_feature_has_13_bins_around_its_mean() -> None:
    values = RANDOM.normal(5, 2, 10_000)
    values[:100] = np.nan
    report = reported(values)["continuousDataHistogram"]
    (histogram,) = report.histograms
    present = values[100:]
    mean, spread = present.mean(), present.std()
    assert histogram.feature == "c0"
    assert len(histogram.edges) == 14
    assert histogram.edges[0] == -math.inf
    assert histogram.edges[-1] == math.inf
    np.testing.assert_allclose(np.diff(histogram.edges[1:-1]), 4 * spread / 11)
    np.testing.assert_allclose(histogram.edges[1], mean - 2 * spread)
    expected = np.histogram(present, np.array(histogram.edges))[0] / present.size
    np.testing.assert_array_equal(histogram.weights, expected)
    bars = json.loads(report.payload)["c0"]
    low, high = histogram.edges[3:5]
    assert bars[3] == {f"{low} to {high}": histogram.weights[3]}
    assert next(iter(bars[0])).startswith("-inf to ")


@given(
    hnp.arrays(
        np.float64, st.integers(1, 200), elements=st.floats(allow_nan=False) | st.integers(-5, 5).map(float)
    )
)
@example(np.array([sys.float_info.max]))
@example(np.array([-sys.float_info.max] * 3 + [sys.float_info.max] * 4))
@example(np.full(9, 1e17))
def test_bins_count_as_numpy_counts_with_the_same_edges(values: Any) -> None:
    edges = continuous_edges(Numbers(values))
    assert len(edges) == 14
    assert list(edges) == sorted(set(edges)), "edges ascend"
    histogram = continuous_histogram("x", values, edges, values.size)
    expected = np.histogram(values, np.array(edges))[0] / values.size
    np.testing.assert_array_equal(histogram.weights, expected)
    assert math.fsum(histogram.weights) == pytest.approx(1)


def test_bins_of_another_spacing_are_counted_too() -> None:
    training = [
        Histogram(
            feature="c0", kind=HistogramKind.CONTINUOUS, edges=(0, 1, 10), categories=(), weights=(0.5, 0.5)
        )
    ]
    (histogram,) = histograms(np.array([0.5, 0.6, 1.0, 10.0, 11.0]), training).values()
    assert histogram.weights == (0.5, 0.5)


def test_a_constant_feature_has_bins_of_a_small_spread() -> None:
    values = np.full(100, 7.0)
    assert np.isclose(continuous_edges(Numbers(values))[1], 7 - 2 * 0.05)
    assert histograms(values)["c0"].categories == ("7.0",), "one distinct value is a category"


@pytest.mark.parametrize(
    ("distinct", "kind"), [(24, HistogramKind.CATEGORICAL), (25, HistogramKind.CONTINUOUS)]
)
@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        lambda values: np.asarray(values, dtype=np.int16),
        lambda values: np.array(list(values), dtype=object),
        lambda values: np.array([str(value) for value in values]),
        lambda values: pd.DataFrame({"c0": values}),
        lambda values: pd.DataFrame({"c0": pd.array(values, dtype="Int64")}),
        lambda values: pd.DataFrame({"c0": pd.Categorical(values)}),
        lambda values: pd.DataFrame({"c0": pd.Series(values).astype(str)}),
        lambda values: pd.DataFrame({"c0": pd.Series([*values, None, pd.NA, math.nan], dtype=object)}),
        lambda values: pd.DataFrame({"c0": pd.Series(values).astype("Sparse[int64]")}),
        lambda values: pd.Series(values, name="c0"),
    ],
    ids=[
        "int",
        "int16",
        "object",
        "text",
        "frame",
        "nullable",
        "category",
        "str",
        "missing",
        "sparse",
        "series",
    ],
)
def test_fewer_than_25_distinct_values_are_categories(make: Any, distinct: int, kind: HistogramKind) -> None:
    values = np.arange(5000) % distinct
    histogram = histograms(make(values))["c0"]
    assert histogram.kind is kind
    assert math.fsum(histogram.weights) == pytest.approx(1)
    if kind is HistogramKind.CATEGORICAL:
        assert dict(zip(histogram.categories, histogram.weights, strict=True)) == pytest.approx(
            {
                str(value): times / 5000
                for value, times in zip(*np.unique(values, return_counts=True), strict=True)
            }
        )


def test_every_column_type_of_pandas_is_a_feature_or_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    count = 60
    frame = pd.DataFrame(
        {
            "flag": [True, False] * 30,
            "flag with gaps": pd.array([True, None] * 30, dtype="boolean"),
            "day": pd.to_datetime(["2013-01-01", "2013-01-02"] * 30),
            "moment": pd.date_range("2013-01-01", periods=count, freq="s"),
            "zoned": pd.date_range("2013-01-01", periods=count, freq="s", tz="UTC"),
            "span": pd.to_timedelta(range(count), unit="s"),
            "period": pd.period_range("2013-01", periods=count, freq="M"),
            "interval": pd.interval_range(0, count),
            "ids": [f"N{number}" for number in range(count)],
            "lists": [[1]] * count,
            "empty": [None] * count,
            "numbers as text": [f"{number}.5" for number in range(count)],
            "decimals": pd.array(range(count), dtype="Float64"),
            "complex": np.arange(count) * 1j,
        }
    )
    found = histograms(frame)
    assert {name: histogram.kind.value for name, histogram in found.items()} == {
        "flag": "categorical",
        "flag with gaps": "categorical",
        "day": "categorical",
        "numbers as text": "continuous",
        "decimals": "continuous",
    }
    assert found["flag"].categories == ("False", "True")
    assert found["flag with gaps"].weights == (1.0,)
    assert len(found["day"].categories) == 2
    assert "'ids'" in caplog.text
    assert "'moment'" in caplog.text


def test_masked_values_are_missing() -> None:
    values = np.ma.masked_array([1, 1, 2, 9], mask=[False, False, False, True])
    row = table(reported(values)["Categorical Data Analysis"])["c0"]
    assert (row["Count"], row["Missing"], row["Uniques"]) == (4, "25.0%", 2)


def test_odd_column_names_are_reported_as_text() -> None:
    frame = pd.DataFrame([[1, 2, 3, 4, 5, 6, 7]] * 3)
    frame.columns = pd.Index([0, ("a", "b"), None, "é\n", "x", "x.1", 1.5], dtype=object)
    assert list(histograms(frame)) == ["0", "('a', 'b')", "None", "é\n", "x", "x.1", "1.5"]


@pytest.mark.parametrize("names", [["x", "x"], [1, "1"], [None, "None"], [True, "True"]])
def test_two_columns_of_one_name_are_refused_by_name(names: list[Any]) -> None:
    # Under a name made for the second one, the two would change places with the order of the columns.
    frame = pd.DataFrame([[1, 2]] * 3)
    frame.columns = pd.Index(names, dtype=object)
    with pytest.raises(MLOpsException, match=f"'{names[0]}' is given twice"):
        reported(frame)


def test_training_features_kinds_and_bins_are_used_again() -> None:
    training = histograms(pd.DataFrame({"n": RANDOM.normal(0, 1, 1000), "k": list("ab") * 500}))
    later = pd.DataFrame({"new": [1.0] * 30, "k": list("abz") * 10, "n": [0.0] * 30})
    found = reported(later, list(training.values()))
    numbers, words = (
        found["continuousDataHistogram"].histograms[0],
        found["categoricalDataHistogram"].histograms[0],
    )
    assert (numbers.feature, numbers.edges) == ("n", training["n"].edges)
    assert (words.categories, words.weights) == (("a", "b"), pytest.approx((1 / 3, 1 / 3)))
    assert "new" not in str([report.text for report in found.values()])
    scores = found["categoricalDataHistogram.overlapResult"]
    assert scores.graph_type == "MULTILINEGRAPH"
    assert scores.samples == (("overlapScore_k", pytest.approx(2 / 3)),)
    assert found["dataheatmap"].graph_type == "HEATMAP"
    assert json.loads(found["dataheatmap"].payload) == {"n": 0.0}


def test_training_integers_match_floats_that_missing_values_made_of_them() -> None:
    training = list(histograms(pd.DataFrame({"hour": [0, 1, 2] * 10})).values())
    later = reported(pd.DataFrame({"hour": [0, 1, 2] * 10 + [None]}), training)
    assert later["categoricalDataHistogram.overlapResult"].samples == (
        ("overlapScore_hour", pytest.approx(1)),
    )


def test_a_trained_feature_that_is_now_always_missing_scores_zero() -> None:
    training = list(
        histograms(pd.DataFrame({"n": RANDOM.normal(0, 1, 1000), "k": list("ab") * 500})).values()
    )
    later = reported(pd.DataFrame({"n": [None] * 5, "k": [None] * 5}), training)
    assert later["continuousDataHistogram.overlapResult"].samples == (("overlapScore_n", 0.0),)
    assert later["categoricalDataHistogram.overlapResult"].samples == (("overlapScore_k", 0.0),)
    assert table(later["Continuous Data Analysis"])["n"]["Missing"] == "100.0%"


def test_a_trained_feature_that_is_no_number_any_more_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    training = list(histograms(pd.DataFrame({"n": RANDOM.normal(0, 1, 100), "k": list("ab") * 50})).values())
    assert set(histograms(pd.DataFrame({"n": ["x"], "k": ["a"]}), training)) == {"k"}
    assert "'n'" in caplog.text


def test_features_that_the_data_lack_are_named(caplog: pytest.LogCaptureFixture) -> None:
    training = list(histograms(pd.DataFrame({"n": RANDOM.normal(0, 1, 100), "k": list("ab") * 50})).values())
    found = set(reported(pd.DataFrame({"k": ["a"]}), training))
    assert {name for name in found if not name.startswith("drift.")} == {
        "categoricalDataHistogram",
        "Categorical Data Analysis",
        "categoricalDataHistogram.overlapResult",
    }
    assert "'n'" in caplog.text


weights = (
    st.lists(st.integers(0, 1000), min_size=1, max_size=20)
    .filter(any)
    .map(lambda counts: [count / sum(counts) for count in counts])
)


@given(st.data())
def test_similarity_is_between_0_and_1_and_is_1_with_itself(data: st.DataObject) -> None:
    training = data.draw(weights)
    inference = data.draw(st.lists(st.integers(0, 9), min_size=len(training), max_size=len(training)))
    inference = [count / max(1, sum(inference)) for count in inference]
    assert 0 <= similarity_score(training, inference) <= 1
    assert similarity_score(training, training) == pytest.approx(1)


def test_similarity_is_the_formula() -> None:
    r, i = np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.3, 0.5])
    expected = r.sum() ** 2 / (r**2).sum() * (r * i).sum() / (r.sum() * i.sum())
    assert similarity_score(r, i) == pytest.approx(expected)
    assert similarity_score([0.5, 0.5], [0.5, 0.0]) == pytest.approx(0.5), (
        "what is in no bin agrees with nothing"
    )
    assert similarity_score([1, 0], [0, 1]) == 0


def test_the_analysis_of_numbers_is_pandas_own() -> None:
    values = np.round(RANDOM.normal(0, 1, 999), 1)
    values[:10] = np.nan
    row = table(reported(pd.DataFrame({"x": values}))["Continuous Data Analysis"])["x"]
    series = pd.Series(values)
    assert list(row) == ["Count", "Missing", "Zeros", "Standard Deviation", "Min", "Mean", "Median", "Max"]
    assert row["Count"] == 999
    assert row["Missing"] == "1.0%"
    assert row["Zeros"] == int((series == 0).sum())
    assert row["Standard Deviation"] == pytest.approx(series.std())
    assert [row["Min"], row["Mean"], row["Median"], row["Max"]] == pytest.approx(
        [series.min(), series.mean(), series.median(), series.max()]
    )


def test_the_analysis_of_categories() -> None:
    frame = pd.DataFrame({"k": ["aa", "aa", "b", None]})
    row = table(reported(frame)["Categorical Data Analysis"])["k"]
    assert row == {
        "Count": 4,
        "Missing": "25.0%",
        "Uniques": 2,
        "Top Frequently Occurring Category": "aa",
        "Top Frequency": 2,
        "Average String Length": pytest.approx(5 / 3),
    }


@pytest.mark.parametrize("narrow", [np.float16, np.float32])
def test_categories_of_narrow_floats_are_their_own_text(narrow: Any) -> None:
    training = list(histograms(np.array([10.5, 0.1, 0.2, 0.1], dtype=narrow)).values())
    assert training[0].categories == ("0.1", "0.2", "10.5")
    later = reported(np.array([10.5, 0.1, 0.2, 0.1]), training)
    assert later["categoricalDataHistogram.overlapResult"].samples == (("overlapScore_c0", pytest.approx(1)),)


def test_one_number_has_no_deviation() -> None:
    training = list(histograms(pd.DataFrame({"x": RANDOM.normal(0, 1, 100)})).values())
    row = table(reported(pd.DataFrame({"x": [2.5]}), training)["Continuous Data Analysis"])["x"]
    assert (row["Standard Deviation"], row["Mean"]) == ("NaN", 2.5)


def test_a_feature_without_any_value_is_a_category_that_is_always_missing() -> None:
    # 2.5: categorical is what has fewer than 25 distinct non-missing values.
    found = reported(pd.DataFrame({"never": [math.nan] * 3, "k": ["a", "b", "b"]}))
    row = table(found["Categorical Data Analysis"])["never"]
    assert list(row.values()) == [3, "100.0%", 0, "N/A", 0, 0.0]
    assert set(json.loads(found["categoricalDataHistogram"].payload)) == {"k"}
    alone = reported(pd.DataFrame({"never": [math.nan] * 3}))
    assert set(alone) == {"Categorical Data Analysis"}


def test_the_heat_map_is_the_mean_of_scaled_values() -> None:
    wide = RANDOM.uniform(0, 10, 500)
    training = list(histograms(pd.DataFrame({"x": wide, "const": wide, "zero": wide})).values())
    later = pd.DataFrame({"x": wide, "const": 3.0, "zero": 0.0})
    warmth = json.loads(reported(later, training)["dataheatmap"].payload)
    assert warmth == {
        "x": pytest.approx(((wide - wide.min()) / (wide.max() - wide.min())).mean()),
        "const": 1.0,
        "zero": 0.0,
    }


def test_infinities_fall_in_the_outer_bins_and_move_no_edge() -> None:
    values = RANDOM.normal(0, 1, 1000)
    plain = continuous_edges(Numbers(values))
    histogram = histograms(np.concatenate([values, [np.inf, -np.inf]]))["c0"]
    assert histogram.edges == plain
    assert math.fsum(histogram.weights) == pytest.approx(1)


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((0, 3)),
        np.zeros((3, 0)),
        np.zeros(0),
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame(index=range(3)),
    ],
)
def test_no_rows_or_columns_give_no_reports(data: Any) -> None:
    assert distribution_reports(data) == []


def test_one_row_is_a_distribution() -> None:
    assert histograms(pd.DataFrame({"a": [1.5], "b": ["x"]}))["b"].weights == (1.0,)


@pytest.mark.parametrize(
    "data",
    [
        None,
        5,
        "text",
        [1, 2],
        {"a": [1]},
        np.float64(1),
        np.zeros((2, 2, 2)),
        np.zeros(3, dtype=[("a", "f8")]),
    ],
)
def test_data_of_another_type_raise(data: Any) -> None:
    with pytest.raises(MLOpsException):
        distribution_reports(data)
