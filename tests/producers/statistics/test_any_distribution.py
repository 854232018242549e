"""Data distribution of whatever arrays and frames hold, however much of it there is."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from parallelm.mlops._distribution import distribution_reports
from parallelm.mlops._reporting.payloads import StructuredReport
from parallelm.schemas.well_known import DRIFT_JS, DRIFT_KS, DRIFT_NEW_CATEGORIES, DRIFT_PSI

RANDOM = np.random.default_rng(20130101)

PLAIN_TYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.unicode_string_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.complex_number_dtypes(),
)
OBJECTS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.dates(),
    st.decimals(allow_nan=False),
    st.tuples(st.integers()),
    st.just([1]),
    st.just(pd.NA),
    st.just(pd.NaT),
)


@st.composite
def columns(draw: st.DrawFn) -> Any:
    if draw(st.booleans()):
        return draw(hnp.arrays(PLAIN_TYPES, st.integers(1, 40)))
    elements = draw(
        st.lists(
            draw(st.sampled_from([OBJECTS, st.integers(), st.floats(), st.text()])), min_size=1, max_size=40
        )
    )
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


@given(array=columns(), as_frame=st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_column_is_reported_or_left_out(array: Any, as_frame: bool) -> None:
    data: Any = array
    if as_frame:
        try:
            data = pd.DataFrame({"x": array})
        except (ValueError, TypeError, OverflowError):
            reject()  # an array that pandas does not take
    first = distribution_reports(data)
    training = [histogram for report in first for histogram in getattr(report, "histograms", ())]
    for report in [*first, *distribution_reports(data, training)]:
        if isinstance(report, StructuredReport):
            json.loads(report.payload, parse_constant=pytest.fail)
        elif report.name.endswith("overlapResult"):
            assert [value for _, value in report.samples] == [pytest.approx(1)]
        elif report.name.endswith("p_value"):
            assert [value for _, value in report.samples] == [pytest.approx(1, abs=0.001)]
        elif report.name in {DRIFT_PSI, DRIFT_JS, DRIFT_KS, DRIFT_NEW_CATEGORIES}:
            assert [value for _, value in report.samples] == [pytest.approx(0, abs=1e-9)]


def test_thousands_of_features_come_in_reports_that_fit_in_a_record() -> None:
    many = 1500
    data = np.concatenate(
        [RANDOM.normal(size=(30, many)), np.tile(np.arange(30) % 24, (many, 1)).T + 1000], axis=1
    )
    reports = [report for report in distribution_reports(data) if isinstance(report, StructuredReport)]
    for report in reports:
        typed = sum(
            8 * len([*each.edges, *each.weights]) + len(repr(each.categories)) for each in report.histograms
        )
        assert len(report.payload) + typed < 900_000
    found = [histogram.feature for report in reports for histogram in report.histograms]
    assert sorted(found) == sorted(f"c{index}" for index in range(2 * many))
    rows = [row for report in reports if report.graph_type == "MATRIX" for row in json.loads(report.payload)]
    assert len(rows) == len(set(rows)) == 2 * many


def test_memory_is_that_of_a_few_columns_not_of_the_frame() -> None:
    data = RANDOM.normal(size=(200_000, 20))
    column_bytes = data[:, 0].nbytes
    distribution_reports(data[:1000])
    tracemalloc.start()
    distribution_reports(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * column_bytes
