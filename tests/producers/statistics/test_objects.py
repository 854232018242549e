"""Statistic objects: the text of their stand-alone line, what travels, and what they refuse."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table, table_rows
from parallelm.mlops.stats_category import StatCategory, StatGraphType, StatsMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport


def line(report: NumericReport | StructuredReport) -> str:
    """The stand-alone line from its second column on."""
    return f"{report.name}, {report.graph_type}, {report.mode}, {report.text} "


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (SingleValue().name("scalar").value(2.5), "scalar, LINEGRAPH, TIME_SERIES, {'scalar': 2.5} "),
        (
            Table().name("tab").cols(["a", "b"]).add_row("r1", [1, 2]).add_row("r2", [4, 5]),
            'tab, MATRIX, INSTANT, {"r1":{"a":1, "b":2}, "r2":{"a":4, "b":5}} ',
        ),
        (
            BarGraph().name("bar").cols(["a", "b"]).data([1, 2]),
            "bar, BARGRAPH, INSTANT, {'bar': [{'a': 1}, {'b': 2}]} ",
        ),
        (
            BarGraph().name("barc").cols([0, 1, 2]).data([5, 6]).as_continuous(),
            "barc, BARGRAPH, INSTANT, {'barc': [{'0 to 1': 5}, {'1 to 2': 6}]} ",
        ),
        (
            MultiLineGraph().name("mlg").labels(["a", "b"]).data([1, 2.5]),
            "mlg, MULTILINEGRAPH, TIME_SERIES, {'a': 1, 'b': 2.5} ",
        ),
        (
            Table()
            .name("Confusion Matrix")
            .cols(["0", "1"])
            .add_row("0", ["2", "1"])
            .add_row("1", ["1", "4"]),
            'Confusion Matrix, MATRIX, INSTANT, {"0":{"0":"2", "1":"1"}, "1":{"0":"1", "1":"4"}} ',
        ),
    ],
    ids=["scalar", "table", "bar graph", "continuous bar graph", "multi-line graph", "table of strings"],
)
def test_the_stand_alone_line_is_as_programs_parse_it(statistic: Any, expected: str) -> None:
    assert line(statistic.report()) == expected


@pytest.mark.parametrize(
    "statistic",
    [
        Table().cols(["a", "b"]).add_rows([[1, "x"], [math.nan, None]]),
        BarGraph().cols(["a", "b"]).data([1, math.inf]),
        BarGraph().cols(["a", "b"]).data(np.array([1, 2])),
    ],
)
def test_payloads_are_json_that_says_what_the_text_says(statistic: Any) -> None:
    report = statistic.report()
    parsed = json.loads(report.payload, object_pairs_hook=list, parse_constant=pytest.fail)
    if report.graph_type == "MATRIX":
        assert parsed == json.loads(report.text, object_pairs_hook=list)
    else:
        (name, bars), *rest = parsed
        assert not rest
        shown = eval(report.text, {"inf": math.inf})[name]  # noqa: S307 - our own text
        assert [(key, float(value)) for ((key, value),) in bars] == [
            pair for bar in shown for pair in bar.items()
        ]


def test_numbers_travel_as_float64_and_print_as_they_were() -> None:
    report = (
        MultiLineGraph()
        .labels(["i", "f32", "b", "nan"])
        .data([7, np.float32(0.1), np.bool_(True), math.nan])
        .report()
    )
    assert report.samples[:3] == (("i", 7.0), ("f32", float(np.float32(0.1))), ("b", 1.0))
    assert math.isnan(report.samples[3][1])
    assert report.text == f"{{'i': 7, 'f32': {float(np.float32(0.1))!r}, 'b': True, 'nan': nan}}"


def test_a_single_value_in_instant_mode_is_a_configuration_value() -> None:
    report = SingleValue().name("lr").value(np.float64(0.5)).mode(StatsMode.Instant).report()
    assert (report.category, report.mode, report.text) == ("CONFIG", "INSTANT", "{'lr': 0.5}")


def test_a_mode_is_known_by_its_value_too() -> None:
    assert SingleValue().value(1).mode("INSTANT").report().mode == "INSTANT"
    for wrong in ("LINEGRAPH", None, []):
        with pytest.raises(MLOpsException, match="TIME_SERIES, INSTANT"):
            SingleValue().mode(wrong)  # type: ignore[arg-type]


def test_an_integer_beyond_2_to_the_53_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    from parallelm.mlops.stats import _values

    _values._warned_inexact = False
    SingleValue().value(2**53)
    assert not caplog.records
    SingleValue().value(10**18)  # exact as a float64, and beyond
    assert SingleValue().value(2**53 + 1).report().samples == (("", float(2**53)),)
    SingleValue().value(2**60 + 1)
    assert len(caplog.records) == 1
    assert "2**53" in caplog.text


def test_unnamed_rows_keep_their_cells_and_order() -> None:
    report = Table().cols(["a"]).add_row([1]).add_row([2]).add_row("z", [3]).report()
    assert report.text == '{"":{"a":1}, "":{"a":2}, "z":{"a":3}}'
    assert report.payload.decode() == report.text


def test_rows_of_a_table_are_read_back_one_by_one() -> None:
    table = Table().cols(["a", "b"]).add_rows([[1, {"x": [1, {}]}], [2, [[3]]]]).add_row("z", ["3", None])
    assert table_rows(table.report().payload) == [
        ("", ["a", "b"], [1, {"x": [1, {}]}]),
        ("", ["a", "b"], [2, [[3]]]),
        ("z", ["a", "b"], ["3", None]),
    ]


def test_table_cells_that_json_does_not_know_are_shown_as_text() -> None:
    report = Table().cols([1, "é\n"]).add_row('q"', [np.datetime64("2013-01-01"), 1j]).report()
    assert report.text == '{"q\\"":{"1":"2013-01-01", "é\\n":"1j"}}'
    assert "\n" not in report.text


def test_a_continuous_bar_graph_shows_plain_edges() -> None:
    edges = np.array([-np.inf, 0.1, 0.30000000000000004, np.inf])
    report = BarGraph().name("h").cols(edges).data([1, 2, 3]).as_continuous().report()
    assert json.loads(report.payload) == {
        "h": [{"-inf to 0.1": 1}, {"0.1 to 0.30000000000000004": 2}, {"0.30000000000000004 to inf": 3}]
    }


@pytest.mark.parametrize(
    "call",
    [
        lambda: SingleValue().report(),
        lambda: SingleValue().value("1"),
        lambda: SingleValue().value(None),
        lambda: SingleValue().value([1]),
        lambda: SingleValue().value({"a": 1}),
        lambda: SingleValue().value(1j),
        lambda: SingleValue().value(np.complex128(1)),
        lambda: SingleValue().value(np.timedelta64(1, "s")),
        lambda: SingleValue().value(10**400),
        lambda: SingleValue().name(5),
        lambda: SingleValue().name("\ud800"),
        lambda: SingleValue().value(1).mode("instant"),
        lambda: MultiLineGraph().report(),
        lambda: MultiLineGraph().labels(["a"]).report(),
        lambda: MultiLineGraph().data([1]).report(),
        lambda: MultiLineGraph().labels(["a"]).data([1, 2]).report(),
        lambda: MultiLineGraph().labels([1]),
        lambda: MultiLineGraph().labels("ab"),
        lambda: MultiLineGraph().data(["a"]),
        lambda: MultiLineGraph().data(5),
        lambda: MultiLineGraph().data({"a": 1}),
        lambda: MultiLineGraph().data(np.zeros((2, 2))),
        lambda: Table().report(),
        lambda: Table().cols(["a"]).report(),
        lambda: Table().add_row([1]).report(),
        lambda: Table().cols(["a"]).add_row([1, 2]).report(),
        lambda: Table().add_row([1]).add_row([1, 2]),
        lambda: Table().add_rows([[1], [1, 2]]),
        lambda: Table().add_rows([1, 2]),
        lambda: Table().add_rows("ab"),
        lambda: Table().add_row("name"),
        lambda: Table().add_row("name", 5),
        lambda: Table().add_row(5, [1]),
        lambda: Table().add_row(5),
        lambda: Table().cols("abc"),
        lambda: BarGraph().report(),
        lambda: BarGraph().cols(["a"]).report(),
        lambda: BarGraph().data([1]).report(),
        lambda: BarGraph().cols(["a", "b"]).data([1]).report(),
        lambda: BarGraph().cols([1]).data([1]).report(),
        lambda: BarGraph().cols([1, 2]).data([1, 2]).as_continuous().report(),
        lambda: BarGraph().cols([1, None]).data([1]).as_continuous().report(),
        lambda: BarGraph().cols(["a"]).data(["1"]),
        lambda: BarGraph().cols(None),
    ],
)
def test_what_makes_no_sense_raises_mlops_exception(call: Callable[[], object]) -> None:
    with pytest.raises(MLOpsException):
        call()


def test_enums_have_the_values_that_components_know() -> None:
    assert [member.value for member in StatCategory] == [0, 1, 2, 3]
    assert (StatsMode.TimeSeries, StatsMode.Instant) == ("TIME_SERIES", "INSTANT")
    assert StatGraphType.HISTOGRAM_TYPE_CONTIGOUOUS == "continuous"
    assert StatGraphType.HISTOGRAM_TYPE_CATEGORICAL == "categorical"
