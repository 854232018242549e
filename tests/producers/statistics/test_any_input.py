"""Wild input: whatever a component passes to a setter, a sound report comes out, or ``MLOpsException``.

A library that refuses everything would pass here; ``test_valid_input.py`` holds what must be accepted.
"""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops._metrics.objects import metric_object
from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatsMode

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from(
        [10**400, -(2**53) - 1, 2**1024, np.float32(0.1), np.int64(-1), np.uint64(2**64 - 1), np.bool_(True)]
    ),
    st.floats().map(np.float64),
    st.floats(width=16).map(np.float16),
    st.just(np.longdouble("1e4000")),
)
texts = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["\ud800", "a\nb", "", "é", "1", "nan"]),
    st.text(max_size=3).map(np.str_),
)
scalars = st.one_of(
    numbers,
    texts,
    st.none(),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.just(date(2013, 1, 1)),
    st.sampled_from(
        [
            object(),
            int,
            np.datetime64("NaT", "s"),
            np.timedelta64(1, "s"),
            np.complex64(1),
            ...,
            StatsMode.Instant,
        ]
    ),
    st.decimals(),
    st.fractions(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(texts, st.integers(), st.none()), inner, max_size=3),
        st.lists(numbers, max_size=4).map(lambda elements: np.array(elements, dtype=object)),
        st.lists(st.floats(), max_size=4).map(np.array),
        st.just(np.zeros((2, 2))),
        st.just(np.array(5)),
        st.just({1, 2}),
        st.just(range(3)),
    ),
    max_leaves=8,
)
# Mostly the shapes that belong there, else hypothesis rarely gets past the first check.
lists_of_numbers = st.one_of(st.lists(numbers, max_size=3), values)
lists_of_texts = st.one_of(st.lists(texts, max_size=3), values)
coordinates = st.one_of(st.lists(st.one_of(numbers, texts), max_size=3), values)


def check(report: NumericReport | StructuredReport) -> None:
    """What a report must be, whatever it was made of."""
    assert report.name
    report.name.encode()
    report.text.encode()
    assert "\n" not in report.text
    if isinstance(report, NumericReport):
        assert report.samples
        for label, value in report.samples:
            label.encode()
            assert type(value) is float
        shown = list(eval(report.text, {"nan": math.nan, "inf": math.inf}).values())  # noqa: S307 - our own text
        assert [float(value) for value in shown] == pytest.approx(
            [value for _, value in report.samples], nan_ok=True
        )
    elif report.content_type == "application/json":
        json.loads(report.payload, parse_constant=pytest.fail)


@given(values, st.sampled_from([1, "x", None, *StatsMode]), values)
def test_single_value(name: Any, mode: Any, value: Any) -> None:
    try:
        check(SingleValue().value(value).name(name if isinstance(name, str) else "n").mode(mode).report())
        SingleValue().name(name)
    except MLOpsException:
        return


@given(lists_of_texts, lists_of_numbers)
def test_multi_line_graph(labels: Any, data: Any) -> None:
    try:
        check(MultiLineGraph().labels(labels).data(data).report())
    except MLOpsException:
        return


@given(values, st.lists(st.one_of(st.tuples(values), st.tuples(values, values)), max_size=3), values)
def test_table(columns: Any, rows: Any, more: Any) -> None:
    try:
        table = Table().cols(columns)
        for row in rows:
            table.add_row(*row)
        check(table.add_rows(more).report())
    except MLOpsException:
        return


@given(
    st.integers(1, 3).flatmap(
        lambda width: st.tuples(
            st.lists(scalars, min_size=width, max_size=width),
            st.lists(st.lists(values, min_size=width, max_size=width), min_size=1, max_size=3),
        )
    )
)
def test_table_of_any_cells(columns_and_rows: Any) -> None:
    columns, rows = columns_and_rows
    try:
        report = Table().cols(columns).add_rows(rows).report()
    except MLOpsException:
        return
    check(report)
    parsed = json.loads(report.text, object_pairs_hook=list)
    assert [len(cells) for _, cells in parsed] == [len(columns)] * len(rows)


@given(coordinates, lists_of_numbers, st.booleans())
def test_bar_graph(columns: Any, data: Any, continuous: Any) -> None:
    try:
        graph = BarGraph().columns_names(columns).data(data)
        check((graph.as_continuous() if continuous else graph).report())
    except MLOpsException:
        return


@given(coordinates, lists_of_numbers, scalars, scalars, st.booleans())
def test_graph(x: Any, y: Any, title: Any, mark: Any, categorical: Any) -> None:
    try:
        graph = Graph().set_x_series(x).add_y_series("y", y)
        check((graph.set_categorical() if categorical else graph).report())
        check(graph.x_title(title).y_title(title).annotate(title, x=mark).annotate("l", y=mark).report())
    except MLOpsException:
        return


@given(
    st.lists(st.tuples(coordinates, lists_of_numbers, st.one_of(st.just("l"), scalars)), max_size=3),
    st.booleans(),
)
def test_multi_graph(series: Any, categorical: Any) -> None:
    try:
        graph = MultiGraph().set_categorical() if categorical else MultiGraph()
        for x, y, label in series:
            graph.add_series(x, y, label)
        check(graph.report())
    except MLOpsException:
        return


@given(values)
def test_opaque_and_html(data: Any) -> None:
    for statistic in (Opaque(), HTML()):
        try:
            check(statistic.data(data).report())
        except MLOpsException:
            continue


@given(
    st.one_of(st.just("k"), scalars),
    scalars,
    st.one_of(st.none(), scalars),
    st.one_of(st.none(), st.just("second"), scalars),
)
def test_kpi_value(name: Any, value: Any, timestamp: Any, units: Any) -> None:
    try:
        check(KpiValue(name, value, timestamp, units).report())
    except MLOpsException:
        return


rectangles = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(numbers, min_size=width, max_size=width), max_size=3)
)


@given(
    st.sampled_from([*ClassificationMetrics, *RegressionMetrics, *ClusteringMetrics]),
    st.one_of(values, lists_of_numbers, rectangles),
    st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(lists_of_texts, scalars)
            for name in ("labels", "true_labels", "pred_labels", "legend")
        },
    ),
)
def test_metric_objects(member: Any, data: Any, options: Any) -> None:
    try:
        check(metric_object(member, data, **options).report())
    except MLOpsException:
        return


@given(st.text(max_size=200))
def test_texts_that_are_no_classification_report(text: str) -> None:
    try:
        check(metric_object(ClassificationMetrics.CLASSIFICATION_REPORT, text).report())
    except MLOpsException:
        return
