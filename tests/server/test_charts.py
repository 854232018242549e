"""Options of charts: pure functions of data, whatever the data are."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.server.charts.bars import Histogram, draw_histograms, drawable_edges
from parallelm.server.charts.drawing import MOST_POINTS, Drawing, wall_ms, wall_text
from parallelm.server.charts.lines import Comparison, Window, draw_lines, line_names, line_of_points
from parallelm.server.charts.nodes import Node, place_nodes
from parallelm.server.charts.statistics import DRAWERS, distribution_of, draw_heat_maps, draw_report
from parallelm.server.charts.tables import draw_matrix
from parallelm.server.charts.thinning import thinned
from parallelm.server.pages.filters import log_text, zone_of
from parallelm.warehouse.queries import Line

VALUES = st.one_of(st.none(), st.floats(allow_nan=False))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def told(drawing: Drawing) -> dict[str, object]:
    """As the browser reads it."""
    found: dict[str, object] = json.loads(drawing.as_json(with_table=True))
    return found


def line(name: str = "s", values: list[float] | None = None, **more: object) -> Line:
    found = values or [1.0, 2.0]
    given_ = {"node_id": "n", "agent_id": "a", "model_id": "", "labels": {}} | more
    times = list(range(0, 1000 * len(found), 1000))
    return Line(
        name=name, times_ms=times, means=found, minima=found, maxima=found, samples=[1] * len(found), **given_
    )  # type: ignore[arg-type]


@given(st.lists(VALUES, max_size=400), st.integers(4, 60))
def test_thinning_loses_no_peak_and_keeps_the_order(values: list[float | None], most: int) -> None:
    points = list(enumerate(values))
    kept = thinned(points, most)
    assert len(kept) <= most or len(points) <= most
    assert [x for x, _ in kept] == sorted({x for x, _ in kept})
    assert set(kept) <= set(points)
    numbers, shown = ([y for _, y in each if y is not None] for each in (points, kept))
    if numbers:
        assert (min(shown), max(shown)) == (min(numbers), max(numbers))
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats()), max_size=5000))
def test_no_line_has_more_than_its_points(points: list[tuple[int, float]]) -> None:
    drawing = draw_lines([line_of_points("kpi", points)], Window(), "UTC")
    option = told(drawing)["option"]
    assert isinstance(option, dict)
    assert all(len(series["data"]) <= MOST_POINTS for series in option["series"])


def test_what_is_not_finite_is_a_gap() -> None:
    option = told(draw_lines([line(values=[1.0, math.nan, math.inf])], Window(), "UTC"))["option"]
    assert isinstance(option, dict)
    assert [value for _, value in option["series"][0]["data"]] == [1.0, None, None]


@given(
    st.integers(0, 7_000_000_000),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_times_are_what_the_viewers_clock_shows(second: int, zone: str) -> None:
    shown = datetime.fromtimestamp(second, UTC)
    [wall] = wall_ms([second * 1000], zone)
    assert wall_text(wall) == f"{shown.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def test_lines_are_named_by_what_distinguishes_them() -> None:
    same = [line(labels={"line": "a"}), line(labels={"line": "b"})]
    assert line_names(same) == ["a", "b"]
    models = [
        line(model_id="m-1", labels={"line": "overlapScore_age"}),
        line(model_id="m-2", labels={"line": "overlapScore_age"}),
    ]
    assert line_names(models, {"m-1": "first", "m-2": "second"}) == ["first", "second"]
    assert line_names([line("latency")]) == ["latency"]


def test_lines_of_another_time_begin_with_those_of_this() -> None:
    earlier = Comparison("then", [line()], later_ms=5000)
    option = draw_lines([line()], Window(), "UTC", against=earlier, named="now").option
    assert option
    now, then = option["series"]
    assert [time - 5000 for time, _ in then["data"]] == [time for time, _ in now["data"]]
    assert (now["color"], then["lineStyle"]["type"]) == (then["color"], "dashed")


def test_many_series_leave_out_those_with_few_samples_and_say_so() -> None:
    lines = [line(labels={"line": str(number)}, values=[1.0] * (number + 1)) for number in range(30)]
    drawing = draw_lines(lines, Window(), "UTC")
    assert drawing.option
    assert len(drawing.option["series"]) == 20
    assert drawing.notes[0].startswith("10 lines")


@pytest.mark.parametrize(
    ("edges", "drawn"),
    [
        ([0, 1, 3], [0, 1, 3]),
        ([-math.inf, 0, 2, math.inf], [-2, 0, 2, 4]),
        ([-math.inf, 5], [0, 5]),
        ([-math.inf, math.inf], [-1, 1]),
    ],
)
def test_infinite_edges_are_drawn_as_wide_as_their_neighbours(edges: list[float], drawn: list[float]) -> None:
    assert drawable_edges(edges) == drawn


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_every_bin_of_a_histogram_is_drawn(weights: list[float], low: bool, high: bool) -> None:
    edges: list[float] = [float(number) for number in range(len(weights) + 1)]
    edges[0], edges[-1] = (-math.inf if low else edges[0]), (math.inf if high else edges[-1])
    drawing = draw_histograms([Histogram("h", weights, edges)])
    assert drawing.option
    data = drawing.option["series"][0]["data"]
    assert [weight for _, _, weight, _ in data] == weights
    assert all(math.isfinite(left) and left < right for left, right, *_ in data)


def test_categories_of_two_histograms_are_put_together() -> None:
    found = [Histogram("a", [0.5, 0.5], categories=["x", "y"]), Histogram("b", [1.0], categories=["z"])]
    option = draw_histograms(found).option
    assert option
    assert option["xAxis"]["data"] == ["x", "y", "z"]
    assert [each["data"] for each in option["series"]] == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


@given(st.sampled_from(sorted(DRAWERS)), ANY_JSON | st.text())
def test_a_report_that_is_not_of_its_form_is_told_and_never_an_error(kind: str, payload: object) -> None:
    data = payload if isinstance(payload, str) else json.dumps(payload)
    row = {"graph_type": kind, "data": data, "name": "n", "histograms.feature": []}
    assert told(draw_report(row))["summary"]
    distribution_of(row, "d")


DEEP = 100_000
HUGE = "1" + "0" * 400
"""A whole number that no float holds."""


@pytest.mark.parametrize("kind", sorted(DRAWERS))
@pytest.mark.parametrize(
    "data",
    [
        "[" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        '{"a": {"b": ' + "[" * 400 + "]" * 400 + "}}",
        f'{{"a": [{{"b": {HUGE}}}]}}',
        f'{{"a": {{"b": {HUGE}}}}}',
        f'{{"a": {HUGE}}}',
        f'{{"x_series": [{HUGE}], "y_series": [{{"label": "l", "data": [{HUGE}]}}]}}',
        "9" * 5000,
        '{"a": []}',
    ],
    ids=["open", "deep objects", "deep cell", "bars", "cells", "heat", "graph", "number", "empty"],
)
def test_a_report_that_no_component_writes_breaks_no_page(kind: str, data: str) -> None:
    row = {"graph_type": kind, "data": data, "name": "n", "histograms.feature": []}
    drawing = draw_report(row)
    assert told(drawing)["summary"]
    distribution_of(row, "d")
    assert told(draw_heat_maps([row | {"event_time": datetime(2026, 1, 1, tzinfo=UTC)}], "UTC"))["summary"]


def test_rows_of_a_table_may_have_one_name_and_cells_are_text() -> None:
    row = {
        "graph_type": "MATRIX",
        "name": "t",
        "histograms.feature": [],
        "data": '{"": {"a": 1, "b": [1]}, "": {"a": "<b>", "b": null}}',
    }
    drawing = draw_report(row)
    assert list(drawing.columns) == ["a", "b"]
    assert [list(each) for each in drawing.rows] == [[1, "[1]"], ["<b>", ""]]


def test_bars_named_after_edges_are_a_histogram() -> None:
    row = {
        "graph_type": "BARGRAPH",
        "name": "p",
        "histograms.feature": [],
        "data": '{"p": [{"0 to 1": 3}, {"1 to 5": 1}]}',
    }
    found = distribution_of(row, "live")
    assert found
    assert (list(found.edges), list(found.weights)) == ([0.0, 1.0, 5.0], [0.75, 0.25])


def test_a_matrix_without_numbers_says_so() -> None:
    assert draw_matrix(["a"], ["b"], [[None]], told="m").option is None


@given(st.lists(st.tuples(st.integers(0, 8), st.lists(st.integers(0, 8), max_size=3)), max_size=9))
def test_nodes_of_any_definition_stand_apart(found: list[tuple[int, list[int]]]) -> None:
    nodes = {str(name): Node(str(name), "t", "n", [str(each) for each in parents]) for name, parents in found}
    graph = place_nodes(list(nodes.values()))
    assert len({(box.x, box.y) for box in graph.boxes}) == len(nodes)
    assert all(
        box.x + graph.box_width <= graph.width and box.y + graph.box_height <= graph.height
        for box in graph.boxes
    )


def test_children_stand_right_of_their_parents() -> None:
    nodes = [Node("c", "c", "", ["b"]), Node("b", "b", "", ["a"], ["a"]), Node("a", "a", "")]
    graph = place_nodes(nodes)
    places = {box.node.node_id: box.x for box in graph.boxes}
    assert places["a"] < places["b"] < places["c"]
    assert [of_models for _, of_models in graph.arrows] == [False, True]


def test_an_update_leaves_out_the_series_that_the_browser_has() -> None:
    def answer(last: float, known: list[str]) -> dict[str, Any]:
        series = [{"id": "a", "data": [[1, 2.0]]}, {"id": "b", "data": [[1, last]]}]
        found: dict[str, Any] = json.loads(Drawing("two", {"series": series}).as_json(known=known))
        return found

    first = answer(3.0, [])
    assert [each["id"] for each in first["option"]["series"]] == ["a", "b"]
    again = answer(4.0, first["digests"])
    assert [each and each["id"] for each in again["option"]["series"]] == [None, "b"]
    assert again["digests"][0] == first["digests"][0]
    # Of another chart, or of one with fewer lines.
    assert all(answer(3.0, ["", "x", "y"])["option"]["series"])
    assert answer(3.0, first["digests"][:1])["option"]["series"][1]["id"] == "b"


def assembled(answer: dict[str, Any], before: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    """Pieces of the first series as a browser has them then."""
    data, pieces = iter(answer["option"]["series"][0]["data"]), answer["pieces"][0]
    return [
        before[each] if isinstance(each, int) else (each[0], [next(data) for _ in range(each[1])])
        for each in pieces
    ]


@given(
    st.sets(st.integers(0, 10_000), min_size=40, max_size=600),
    st.sets(st.integers(0, 10_000), min_size=40, max_size=600),
)
def test_an_update_has_of_long_data_only_the_pieces_that_are_new(first: set[int], then: set[int]) -> None:
    def answer(items: list[int], known: str) -> dict[str, Any]:
        option = {"series": [{"data": [{"value": [each, 0]} for each in items]}]}
        found: dict[str, Any] = json.loads(Drawing("one", option, in_pieces=True).as_json(known=[known]))
        return found

    shown = answer(sorted(first), "")
    had = assembled(shown, [])
    for wanted in (sorted(first | then), sorted(then)[-300:]):
        known = "*".join([shown["digests"][0], *(digest for digest, _ in had)])
        update = answer(wanted, known)
        if update["option"]["series"][0] is None:
            assert wanted == sorted(first)
            continue
        if update["pieces"][0] is None:
            assert len(wanted) < 40
            continue
        now = assembled(update, had)
        assert [item["value"][0] for _, items in now for item in items] == wanted


def test_an_item_that_comes_and_one_that_goes_change_few_pieces() -> None:
    def answer(items: range, known: str) -> dict[str, Any]:
        option = {"series": [{"data": [{"value": [each, 0]} for each in items]}]}
        found: dict[str, Any] = json.loads(Drawing("one", option, in_pieces=True).as_json(known=[known]))
        return found

    had = assembled(answer(range(300), ""), [])
    update = answer(range(1, 301), "*".join(["", *(digest for digest, _ in had)]))
    assert len(update["option"]["series"][0]["data"]) < 100


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\x1b[1;31mloss\x1b[0m 0.5\x1b[K", "loss 0.5"),
        ("\x1b]0;a window\x07epoch 1", "epoch 1"),
        ("\x1b]8;;https://example.com\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("10 %\r60 %\r100 %\r", "100 %"),
        ("a\tb\x00c\x07", "a\tb\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}"),
        ("x" * 2_003, "x" * 2_000 + " … 3 more characters"),
        ("\x1b", "\N{REPLACEMENT CHARACTER}"),
        ("", ""),
    ],
)
def test_a_line_of_a_log_is_shown_without_what_is_meant_for_terminals(line: str, shown: str) -> None:
    assert log_text(line) == shown


@pytest.mark.parametrize("name", ["x" * 4000, "/etc/passwd", "../../etc/passwd", "\0", "", "nowhere"])
def test_a_zone_that_is_none_is_utc(name: str) -> None:
    assert zone_of(name) == ZoneInfo("UTC")
