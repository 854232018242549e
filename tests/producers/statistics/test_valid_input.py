"""What must be accepted: for each call, any valid input is reported, and reported as it was given."""

from __future__ import annotations

import ast
import json
import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mlops import StatCategory, mlops
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType, type_name
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table, table_rows
from parallelm.mlops.stats_category import StatsMode
from parallelm.mlops.testing import capture

if TYPE_CHECKING:
    from collections.abc import Sequence

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(bool)
numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(),
    st.booleans(),
    st.floats().map(np.float64),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.integers(0, 255).map(np.uint8),
    st.booleans().map(np.bool_),
)
finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), finite, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=10,
)


def as_lists(elements: Sequence[Any]) -> st.SearchStrategy[Any]:
    """The forms in which component code has its lists."""
    return st.sampled_from([list, tuple, iter, lambda values: dict.fromkeys(values).keys()]).map(
        lambda form: form(elements) if len(set(elements)) == len(elements) else list(elements)
    )


def milliseconds(at: datetime) -> int:
    """Whole milliseconds since the epoch, without a float between."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def same(values: Sequence[float], expected: Sequence[Any]) -> bool:
    return [repr(value) for value in values] == [repr(float(value)) for value in expected]


@given(names, numbers, st.sampled_from([StatCategory.TIME_SERIES, StatCategory.CONFIG]), times)
def test_a_number(name: str, value: Any, category: StatCategory, at: datetime) -> None:
    with capture() as reported:
        mlops.set_stat(name, value, category, at)
        mlops.set_stat(SingleValue().name(name).value(value), timestamp=at)
        mlops.series(name, label="x").set(value)
    first, second, third = reported.samples
    assert same([each.value for each in reported.samples], [value] * 3)
    assert {each.name for each in reported.samples} == {name}
    assert (first.category, second.category) == (category.name, "TIME_SERIES")
    assert first.time_ms == second.time_ms == milliseconds(at)
    assert third.labels == {"label": "x"}


@given(names, numbers, st.dictionaries(texts, st.one_of(texts, st.integers()), max_size=3), times)
def test_a_kpi(name: str, value: Any, labels: dict[str, Any], at: datetime) -> None:
    with capture() as reported:
        mlops.set_kpi(name, value, at, labels=labels)
        mlops.set_stat(KpiValue(name, value, milliseconds(at) // 1000, KpiValue.TIME_SEC))
    first, second = reported.kpis
    assert same([first.value, second.value], [value, value])
    assert dict(first.labels) == {key: str(label) for key, label in labels.items()}
    assert first.timestamp_ms == milliseconds(at)
    assert second.timestamp_ms == milliseconds(at) // 1000 * 1000


@given(st.sampled_from(StatsMode), st.booleans())
def test_a_mode(mode: StatsMode, as_text: bool) -> None:
    report = SingleValue().value(1).mode(str(mode) if as_text else mode).report()
    assert report.mode == mode.value


@given(names, st.dictionaries(texts, numbers, min_size=1, max_size=5), st.data())
def test_several_lines(name: str, lines: dict[str, Any], data: st.DataObject) -> None:
    labels, values = list(lines), list(lines.values())
    graph = MultiLineGraph().name(name).labels(data.draw(as_lists(labels))).data(values)
    with capture() as reported:
        mlops.set_stat(graph)
    assert [each.labels.get("line", "") for each in reported.samples] == labels
    assert same([each.value for each in reported.samples], values)


@given(
    st.lists(texts, min_size=1, max_size=4, unique=True),
    st.lists(st.one_of(st.just(""), texts), min_size=1, max_size=4, unique_by=lambda name: name or object()),
    st.data(),
)
def test_a_table(columns: list[str], row_names: list[str], data: st.DataObject) -> None:
    rows = [data.draw(st.lists(json_values, min_size=len(columns), max_size=len(columns))) for _ in row_names]
    table = Table().name("t").cols(data.draw(as_lists(columns)))
    for name, row in zip(row_names, rows, strict=True):
        _ = table.add_row(name, row) if name else table.add_row(row)
    with capture() as reported:
        mlops.set_stat(table)
    found = table_rows(reported.structured[0].data)
    assert found == [(name, columns, row) for name, row in zip(row_names, rows, strict=True)]


@given(st.dictionaries(texts, finite, min_size=1, max_size=5))
def test_bars(bars: dict[str, float]) -> None:
    report = BarGraph().name("b").cols(list(bars)).data(list(bars.values())).report()
    assert json.loads(report.payload) == {"b": [{name: height} for name, height in bars.items()]}


edges = st.lists(st.one_of(st.integers(-1000, 1000), finite), min_size=2, max_size=6, unique_by=float).map(
    lambda values: sorted(values, key=float)
)


@given(edges, st.booleans(), st.booleans())
def test_a_histogram(places: list[Any], open_ended: bool, as_text: bool) -> None:
    if open_ended:
        places = [-math.inf, *places, math.inf]
    given_edges = [str(place) for place in places] if as_text else places
    heights = list(range(len(places) - 1))
    report = BarGraph().name("b").cols(given_edges).data(heights).as_continuous().report()
    bars = json.loads(report.payload)["b"]
    assert [name for bar in bars for name in bar] == [f"{low} to {high}" for low, high in pairwise(places)]
    assert [height for bar in bars for height in bar.values()] == heights


@given(
    st.one_of(st.lists(finite, min_size=1, max_size=5), st.lists(texts, min_size=1, max_size=5)),
    st.lists(texts, min_size=1, max_size=3, unique=True),
    texts,
    st.data(),
)
def test_a_graph(x: list[Any], labels: list[str], title: str, data: st.DataObject) -> None:
    series = {label: data.draw(st.lists(finite, min_size=len(x), max_size=len(x))) for label in labels}
    graph = Graph().name("g").x_title(title).set_x_series(x).annotate(title, y=1)
    for label, y in series.items():
        graph.add_y_series(label, y)
    found = json.loads(graph.report().payload)
    assert found["x_series"] == x
    assert found["y_series"] == [{"label": label, "data": y} for label, y in series.items()]
    assert (found["x_title"], found["y_annotation"]) == (title, [{"label": title, "value": 1}])


points = st.dictionaries(st.integers(-99, 99), finite, min_size=1, max_size=5)


@given(st.dictionaries(texts, points, min_size=1, max_size=3), st.booleans())
def test_a_graph_of_several_x(series: dict[str, dict[int, float]], categorical: bool) -> None:
    graph = MultiGraph().name("m")
    if categorical:
        graph.set_categorical()
    for label, line in series.items():
        graph.add_series(list(line), list(line.values()), label)
    found = json.loads(graph.report().payload)
    union = sorted({x for line in series.values() for x in line})
    assert found["x_series"] == ([str(x) for x in union] if categorical else union)
    assert found["y_series"] == [
        {"label": label, "data": [line.get(x) for x in union]} for label, line in series.items()
    ]


@given(json_values.filter(lambda value: value is not None))
def test_opaque_data_come_back_equal_from_both_forms(data: Any) -> None:
    report = Opaque().name("o").data(data).report()
    assert json.loads(report.payload) == data
    assert ast.literal_eval(report.text)["o"] == data


@given(st.binary(min_size=1, max_size=20), st.sampled_from([bytes, bytearray, memoryview]))
def test_bytes(data: bytes, form: Any) -> None:
    with capture() as reported:
        mlops.set_stat(Opaque().name("o").data(form(data)))
        mlops.set_event("e", EventType.Data, form(data))
    assert reported.structured[0].data == reported.events[0].data == data
    assert reported.structured[0].content_type == "application/octet-stream"


@given(names)
def test_a_page(text: str) -> None:
    assert HTML().data(text).report().payload == HTML().data(text.encode()).report().payload == text.encode()


@given(texts, json_values, st.booleans(), st.sampled_from(EventType), st.one_of(st.none(), texts), times)
def test_an_event(
    title: str, data: Any, is_alert: bool, kind: EventType, description: str | None, at: datetime
) -> None:
    with capture() as reported:
        mlops.set_event(title, kind, data, is_alert=np.bool_(is_alert), timestamp=at)  # type: ignore[arg-type]
        mlops.event(Event(title, description, data, kind, is_alert, at))
        mlops.health_alert(title, description, data)
    named, made, alert = reported.events
    for event in reported.events:
        assert event.title == title
        assert (json.loads(event.data) if event.data else None) == data
    assert named.is_alert == made.is_alert == is_alert
    assert (named.type, alert.type, alert.is_alert) == (type_name(kind), "GenericHealthAlert", True)
    assert (made.description, alert.description) == (description or "", description or "")
    assert named.event_time_ms == milliseconds(at)


@given(texts, st.one_of(st.booleans(), st.booleans().map(np.bool_), st.integers(0, 1)), finite, finite)
def test_a_canary_alert(title: str, healthy: Any, score: float, threshold: float) -> None:
    with capture() as reported:
        mlops.canary_alert(title, healthy, score, np.float64(threshold))
    data = json.loads(reported.events[0].data)
    assert data["isHealthy"] is bool(healthy)
    assert data["histogramComparison"]["scores"] == score
    assert data["histogramComparison"]["threshold"] == threshold


@given(
    names,
    st.sampled_from([ModelFormat.TEXT, "text", "TEXT", ModelFormat.ONNX]),
    texts,
    st.dictionaries(texts, json_values, max_size=3),
)
def test_a_model(name: str, model_format: Any, description: str, annotations: dict[str, Any]) -> None:
    with capture() as reported:
        model = mlops.Model(name, model_format, description)
        model.set_annotations(annotations)
        model.set_stat("n", 1)
        model.set_kpi("k", 1)
    assert (model.metadata.name, model.metadata.description) == (name, description)
    assert model.get_annotations() == annotations
    assert reported.samples[0].model_id == reported.kpis[0].model_id == model.get_id()


@given(
    st.dictionaries(names, finite, min_size=1, max_size=12),
    st.one_of(st.integers(1, 12), st.integers(1, 12).map(str), st.integers(1, 12).map(float)),
    st.booleans(),
)
def test_feature_importance(importances: dict[str, float], count: Any, as_array: bool) -> None:
    vector: Any = np.array(list(importances.values())) if as_array else list(importances.values())
    with capture() as reported:
        mlops.Model("m", ModelFormat.TEXT).feature_importance(
            vector, list(importances), num_significant_features=count
        )
    bars = json.loads(reported.structured[0].data)["Feature Importance"]
    found = [value for bar in bars for value in bar.values()]
    assert found == sorted(importances.values(), reverse=True)[: int(count)]
    assert all(importances[name] == value for bar in bars for name, value in bar.items())


scores = st.floats(0, 1)
METRIC_DATA: dict[Any, st.SearchStrategy[tuple[Any, dict[str, Any]]]] = {
    ClassificationMetrics.CLASSIFICATION_REPORT: st.just(
        ("precision recall f1-score support\n\n a 1.00 0.50 0.67 2\n b 0.50 1.00 0.67 1\n", {})
    ),
    ClassificationMetrics.CONFUSION_MATRIX: st.just((np.array([[2, 1], [0, 3]]), {"labels": ["a", "b"]})),
    ClassificationMetrics.PRECISION_RECALL_CURVE: st.lists(st.tuples(scores, scores), min_size=1).map(
        lambda pairs: ([list(axis) for axis in zip(*pairs, strict=True)], {"legend": "l"})
    ),
    ClassificationMetrics.ROC_CURVE: st.lists(st.tuples(scores, scores), min_size=1).map(
        lambda pairs: (np.array(pairs).T, {})
    ),
    ClusteringMetrics.CONTINGENCY_MATRIX: st.just(
        ([[1, 2], [3, 4]], {"true_labels": [0, 1], "pred_labels": ["x", "y"]})
    ),
    ClusteringMetrics.HOMOGENEITY_COMPLETENESS_V_MEASURE: st.tuples(scores, scores, scores).map(
        lambda values: (values, {})
    ),
}


@given(st.sampled_from([*ClassificationMetrics, *RegressionMetrics, *ClusteringMetrics]), st.data())
def test_every_metric(member: Any, data: st.DataObject) -> None:
    value, options = data.draw(METRIC_DATA.get(member, scores.map(lambda score: (score, {}))))
    with capture() as reported:
        mlops.set_stat(member, value, **options)
    found = [*reported.samples, *reported.structured]
    assert found
    assert {each.name for each in found} == {member.value}
    if not options and isinstance(value, float):
        assert [each.value for each in reported.samples] == [value]


@given(
    st.dictionaries(
        names,
        st.one_of(
            st.lists(finite, min_size=30, max_size=30),
            st.lists(st.sampled_from(["a", "b", None]), min_size=30, max_size=30),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_distribution(columns: dict[str, list[Any]]) -> None:
    frame = pd.DataFrame(columns)
    with capture() as reported:
        mlops.set_data_distribution_stat(frame)
    found = {each.feature: each for report in reported.structured for each in report.histograms}
    assert set(found) == {name for name in columns if frame[name].notna().any()}
    for name, histogram in found.items():
        assert math.fsum(histogram.weights) == pytest.approx(1)
        assert (histogram.row_count, histogram.missing_count) == (30, int(frame[name].isna().sum()))
