"""What reporting calls return, and what the objects and alerts that they are given print."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops.events.canary_alert import CanaryAlert
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.graph import Graph, MultiGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.kpi_value import KpiValue
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatCategory, StatsMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops import MLOps

NOW = datetime(2026, 1, 2)  # noqa: DTZ001 - components pass naive ones

RETURN_SELF: list[tuple[Any, dict[str, tuple[Any, ...]]]] = [
    (SingleValue(), {"name": ("n",), "value": (1,), "mode": (StatsMode.Instant,)}),
    (MultiLineGraph(), {"name": ("n",), "labels": (["a"],), "data": ([1],)}),
    (
        Table(),
        {
            "name": ("n",),
            "cols": (["a"],),
            "columns_names": (["a"],),
            "add_row": ("r", [1]),
            "add_rows": ([[2], [3]],),
        },
    ),
    (
        BarGraph(),
        {"name": ("n",), "cols": (["a"],), "columns_names": (["a"],), "data": ([1],), "as_continuous": ()},
    ),
    (
        Graph(),
        {
            "name": ("n",),
            "x_title": ("x",),
            "y_title": ("y",),
            "set_categorical": (),
            "set_continuous": (),
            "set_x_series": ([1],),
            "add_y_series": ("y", [1]),
            "annotate": ("here", 1),
        },
    ),
    (
        MultiGraph(),
        {
            "name": ("n",),
            "x_title": ("x",),
            "y_title": ("y",),
            "set_categorical": (),
            "set_continuous": (),
            "add_series": ([1], [1], "y"),
            "annotate": ("here", None, 2),
        },
    ),
    (Opaque(), {"name": ("n",), "data": ({"a": 1},)}),
    (HTML(), {"name": ("n",), "data": ("<p>",)}),
]


@pytest.mark.parametrize(("statistic", "calls"), RETURN_SELF, ids=lambda value: type(value).__name__)
def test_every_setter_returns_its_statistic(statistic: Any, calls: dict[str, tuple[Any, ...]]) -> None:
    for name, arguments in calls.items():
        assert getattr(statistic, name)(*arguments) is statistic, name


@pytest.mark.parametrize(
    "call",
    [
        lambda library: library.set_kpi("k", 1, 1_356_998_400, KpiValue.TIME_SEC),
        lambda library: library.event(Event("e")),
        lambda library: library.set_event("e", EventType.Health, {"a": 1}, True, NOW),
        lambda library: library.set_event(Event("e")),
        lambda library: library.data_alert("t", "d", [1]),
        lambda library: library.health_alert("t", "d"),
        lambda library: library.system_alert("t", "d"),
        lambda library: library.canary_alert("t", False, 0.5, 0.1),
    ],
)
def test_reports_that_return_the_library(library: MLOps, call: Callable[[MLOps], Any]) -> None:
    assert call(library) is library


def test_a_statistic_object_may_stand_for_the_name_or_the_data(
    library: MLOps, lines: Callable[[], list[str]]
) -> None:
    library.set_stat(SingleValue().name("a").value(1))
    library.set_stat("b", SingleValue().name("a").value(1))
    library.set_stat("c", 1, category=StatCategory.CONFIG)
    first, second, third = (line.split(", ", 1)[1] for line in lines())
    assert first == second == "a, LINEGRAPH, TIME_SERIES, {'a': 1} "
    assert third == "c, LINEGRAPH, INSTANT, {'c': 1} "


@pytest.mark.parametrize(
    ("healthy", "description", "diverged"),
    [
        (True, "Canary Health is Good", ""),
        (False, "Canary prediction distributions diverge with a threshold set to 0.1", "prediction"),
    ],
)
def test_a_canary_alert_says_how_the_predictions_compare(
    library: MLOps, lines: Callable[[], list[str]], healthy: bool, description: str, diverged: str
) -> None:
    library.canary_alert("canary", healthy, 0.25, 0.1)
    (line,) = lines()
    number, title, is_alert, text = line.split(", ", 3)
    assert (number, title, is_alert) == ("151", "canary", "True")
    record = json.loads(text)
    assert (record["agent"], record["alert_type"], record["title"]) == ("localhost", 151, "canary")
    assert record["data"] == {
        "type": "canaryPredictionComparison",
        "description": description,
        "isHealthy": healthy,
        "histogramComparison": {
            "threshold": 0.1,
            "attributes": "prediction",
            "scores": 0.25,
            "divergedAttributes": diverged,
        },
    }


def test_kinds_of_alerts_have_their_numbers(library: MLOps, lines: Callable[[], list[str]]) -> None:
    library.data_alert("t", "d").health_alert("t", "d").system_alert("t", "d").event(Event("t"))
    starts = [line.split(", ", 3)[:3] for line in lines()]
    assert starts == [["52", "t", "True"], ["53", "t", "True"], ["54", "t", "True"], ["0", "t", "False"]]
    assert CanaryAlert("t").is_alert
