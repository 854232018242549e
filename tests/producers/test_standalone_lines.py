"""Lines of stand-alone mode: programs parse them, so their form is part of the contract."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from parallelm.mlops import MLOps, StatCategory
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


EARLIER = "of an earlier run"
"""A line that the file holds already: it stays."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MLOps]:
    for name in ("PM_MLOPS_MODE", "AGENT_PUBLIC_ADDRESS", "MCENTER_EVENT_TIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PM_MLOPS_FILE", str(tmp_path / "out"))
    (tmp_path / "out").write_text(f"{EARLIER}\n")
    found = MLOps()
    found.init()
    yield found
    if found.init_called:
        found.done()


def lines(tmp_path: Path) -> list[str]:
    earlier, *found = (tmp_path / "out").read_text().splitlines()
    assert earlier == EARLIER
    return found


def test_each_kind_of_statistic(library: MLOps, tmp_path: Path) -> None:
    with library.event_time("2026-11-23T12:17:36.573677Z"):
        library.set_stat("scalar", 2.5)
        library.set_stat("count", 3)
        library.set_stat(Table().name("tab").cols(["a", "b"]).add_row("r1", [1, 2]).add_row("r2", [4, 5]))
        library.set_stat(BarGraph().name("bar").cols(["a", "b"]).data([1, 2]))
        library.set_stat(BarGraph().name("barc").cols([0, 1, 2]).data([5, 6]).as_continuous())
        library.set_stat(MultiLineGraph().name("mlg").labels(["a", "b"]).data([1, 2.5]))
        library.set_stat(Graph().name("g").set_x_series([1, 2, 3]).add_y_series("y", [4, 5, 6]))
        library.set_stat("rate", 0.1, StatCategory.CONFIG)
        library.set_kpi("kpi", 7, 1_500_000_000, "second")
    stamp = "1795436256573677000"
    assert lines(tmp_path) == [
        f"{stamp}, scalar, LINEGRAPH, TIME_SERIES, {{'scalar': 2.5}} ",
        f"{stamp}, count, LINEGRAPH, TIME_SERIES, {{'count': 3}} ",
        f'{stamp}, tab, MATRIX, INSTANT, {{"r1":{{"a":1, "b":2}}, "r2":{{"a":4, "b":5}}}} ',
        f"{stamp}, bar, BARGRAPH, INSTANT, {{'bar': [{{'a': 1}}, {{'b': 2}}]}} ",
        f"{stamp}, barc, BARGRAPH, INSTANT, {{'barc': [{{'0 to 1': 5}}, {{'1 to 2': 6}}]}} ",
        f"{stamp}, mlg, MULTILINEGRAPH, TIME_SERIES, {{'a': 1, 'b': 2.5}} ",
        (
            f"{stamp}, g, GENERAL_GRAPH, INSTANT, OrderedDict([('x_title', 'X - Title'), ('y_title', 'Y - Title'), "
            "('x_axis_type', 'Continuous'), ('x_axis_tick_postfix', ''), ('x_series', [1, 2, 3]), "
            "('y_series', [{'label': 'y', 'data': [4, 5, 6]}]), ('x_annotation', []), ('y_annotation', [])]) "
        ),
        f"{stamp}, rate, LINEGRAPH, INSTANT, {{'rate': 0.1}} ",
        "1500000000000000000, kpi, LINEGRAPH, TIME_SERIES, {'kpi': 7} ",
    ]


def test_an_alert(library: MLOps, tmp_path: Path) -> None:
    library.health_alert("title", "d", {"v": 1})
    (line,) = lines(tmp_path)
    assert re.fullmatch(
        r'53, title, True, \{"agent": "localhost", "timestamp_ms": \d{13}, "alert_type": 53, "title": "title", '
        r'"description": "d", "data": \{"v": 1\}\}',
        line,
    )


def test_each_report_is_one_line_whatever_it_is_called(library: MLOps, tmp_path: Path) -> None:
    ends = "\n\r\x0b\x85\u2028"
    library.set_stat(f"a{ends}b", 1)
    library.set_stat(Table().name("t").cols([ends]).add_row([ends]))
    library.data_alert(f"a{ends}b", ends)
    number, table, alert = lines(tmp_path)
    assert ", a\\n\\r\\u000b\\u0085\\u2028b, LINEGRAPH, " in number
    assert json.loads(table.split("INSTANT, ")[1]) == {"": {ends: ends}}
    assert json.loads(alert.split("True, ")[1])["title"] == f"a{ends}b"


def test_each_init_appends_to_the_file(library: MLOps, tmp_path: Path) -> None:
    for number in (1, 2):
        if not library.init_called:
            library.init()
        library.set_stat("x", number)
        library.done()
    assert [line.split(", ", 1)[1] for line in lines(tmp_path)] == [
        "x, LINEGRAPH, TIME_SERIES, {'x': 1} ",
        "x, LINEGRAPH, TIME_SERIES, {'x': 2} ",
    ]
