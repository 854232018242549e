"""Which values are one category, whatever the order of rows, and which texts are numbers."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops._distribution import distribution_reports
from parallelm.schemas.records import Histogram, HistogramKind


def histogram(values: Any, training: Any = None) -> Histogram | None:
    """Of one column of Python objects."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    reports: list[Any] = distribution_reports(column, training)
    return next((each for report in reports for each in getattr(report, "histograms", ())), None)


def score(training: Any, inference: Any) -> float:
    column = np.empty(len(inference), dtype=object)
    column[:] = inference
    trained = histogram(training)
    assert trained is not None
    reports: list[Any] = distribution_reports(column, [trained])
    (samples,) = [report.samples for report in reports if report.name.endswith("overlapResult")]
    return float(samples[0][1])


MIXED = st.sampled_from(
    [
        1,
        True,
        "1",
        1.0,
        "1.0",
        "True",
        0,
        0.0,
        -0.0,
        False,
        "",
        "0",
        Decimal("1.00"),
        None,
        b"1",
        (1,),
        (True,),
    ]
)


@given(
    st.lists(MIXED, min_size=1, max_size=40).filter(lambda rows: any(row is not None for row in rows)),
    st.randoms(),
)
def test_no_order_of_rows_changes_the_categories(rows: list[Any], random: Any) -> None:
    other = random.sample(rows, len(rows))
    first, second = histogram(rows), histogram(other)
    assert first == second
    assert score(rows, other) == pytest.approx(1)


@pytest.mark.parametrize(
    ("rows", "categories"),
    [
        ([1, True, 1, False], {"1": 0.5, "True": 0.25, "False": 0.25}),
        ([True, 1, False, 1], {"1": 0.5, "True": 0.25, "False": 0.25}),
        ([1, "1", 2], {"1": 2 / 3, "2": 1 / 3}),
        ([1, 1.0, 2.0], {"1": 2 / 3, "2.0": 1 / 3}),
        ([0.0, -0.0], {"0.0": 1.0}),
        (["1", "1.0", "01"], {"01": 1 / 3, "1": 1 / 3, "1.0": 1 / 3}),
        ([Decimal("1.00"), Decimal("1.0"), 1], {"1": 1.0}),
        ([Fraction(1, 2), Fraction(2, 4)], {"1/2": 1.0}),
        ([np.int64(3), 3, np.float64(3)], {"3": 1.0}),
        ([2, 10, 1], {"1": 1 / 3, "2": 1 / 3, "10": 1 / 3}),
        ([(1,), (True,)], {"(1,)": 0.5, "(True,)": 0.5}),
    ],
)
def test_the_identity_of_a_category(rows: list[Any], categories: dict[str, float]) -> None:
    found = histogram(rows)
    assert found is not None
    assert dict(zip(found.categories, found.weights, strict=True)) == pytest.approx(categories)
    if all(isinstance(row, int) and not isinstance(row, bool) for row in rows):
        assert list(found.categories) == list(categories), "numbers are in their own order"


def test_objects_without_a_text_of_their_own_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert histogram([object(), object()]) is None
    assert "'c0'" in caplog.text


CODES = [
    [f"{number:05d}" for number in range(30)],
    [f"{number:02d}e0" for number in range(30)],
    [f"{number}e{number % 7}" for number in range(1, 40)],
    [f"+49{number}" for number in range(30)],
    [f"1_{number:03d}" for number in range(30)],
    [str(9_007_199_254_740_993 + number) for number in range(30)],
    ["٣" + str(number) for number in range(30)],
    [f"0x{number}" for number in range(30)],
    [*map(str, range(30)), "007"],
]
NUMBERS = [
    [str(number) for number in range(30)],
    [f"{number / 7}" for number in range(30)],
    [f"{number}.50" for number in range(30)],
    [repr(number * 1e-9) for number in range(30)],
    [f"{number}.5E-3" for number in range(30)],
    [f" {number}" for number in range(-15, 15)],
    [*map(str, range(30)), "nan", "-inf"],
    [float(number) for number in range(30)],
    [Decimal(number) for number in range(30)],
    [f"{number}".encode() for number in range(30)],
    [*range(30), *map(str, range(30))],
]


@pytest.mark.parametrize(
    "as_column", [lambda rows: rows, lambda rows: pd.Series(rows, name="c0")], ids=["array", "series"]
)
@pytest.mark.parametrize("rows", CODES, ids=lambda rows: rows[1])
def test_codes_are_never_turned_into_numbers(rows: list[str], as_column: Any) -> None:
    for data in (np.array(rows), as_column(rows), pd.Series(rows, name="c0", dtype="category")):
        reports: list[Any] = distribution_reports(np.array(data) if isinstance(data, list) else data)
        assert all(each.name != "continuousDataHistogram" for each in reports)
    few = histogram(rows[:20])
    assert few is not None
    assert few.categories == tuple(sorted(rows[:20])), "fewer than 25 are categories, as they are written"


@pytest.mark.parametrize("rows", NUMBERS, ids=lambda rows: str(rows[1]))
def test_texts_that_are_written_as_numbers_are_numbers(rows: list[Any]) -> None:
    found = histogram(rows)
    assert found is not None
    assert found.kind is HistogramKind.CONTINUOUS
    assert math.fsum(found.weights) == pytest.approx(1)
    values = pd.Series([float(row) for row in rows]).dropna().to_numpy()
    assert found.row_count - found.missing_count == len(values)


def test_codes_that_another_reader_took_for_numbers_are_other_categories() -> None:
    codes = ["00501", "00544"] * 50
    assert score(codes, codes) == pytest.approx(1)
    assert score(codes, [int(code) for code in codes]) == 0
