"""What every output promises: the same reports arrive as the same typed objects, in memory and on the real broker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from parallelm.mlops.testing import Sample
from parallelm.schemas import records
from tests.producers.outputs.conftest import Expected

if TYPE_CHECKING:
    from tests.producers.outputs.conftest import OutputUnderTest

NEW_YEAR_MS = 1_356_998_400_000
"""2013-01-01."""
ORIGIN = records.Origin(mlapp_id="app", node_id="train", pipeline_instance_id="pipeline-1", agent_id="host-1")


def sample(name: str, value: float, time_ms: int = NEW_YEAR_MS, **more: object) -> Sample:
    plain = {"labels": {}, "model_id": "", "category": "TIME_SERIES", "graph_type": "LINEGRAPH"}
    return Sample(name=name, value=value, time_ms=time_ms, **(plain | more))  # type: ignore[arg-type]


def test_numbers(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from parallelm.mlops import StatCategory
with mlops.event_time("2013-01-01"):
    mlops.set_stat("float", 0.5)
    mlops.set_stat("int", 2**53)
    mlops.set_stat("bool", True)
    mlops.set_stat("config", 3, StatCategory.CONFIG)
    mlops.series("labelled", fold="3").set(0.25)
    mlops.set_stat("ü " * 10, 1)
    mlops.set_stat("timed", 1, timestamp="2013-01-01T00:00:01Z")
""",
        Expected(samples=7),
    )
    assert sorted(reported.samples, key=lambda one: one.name) == [
        sample("bool", 1.0),
        sample("config", 3.0, category="CONFIG"),
        sample("float", 0.5),
        sample("int", 2.0**53),
        sample("labelled", 0.25, labels={"fold": "3"}),
        sample("timed", 1.0, NEW_YEAR_MS + 1000),
        sample("ü " * 10, 1.0),
    ]


def test_numbers_that_are_not_finite(output: OutputUnderTest) -> None:
    reported = output.run(
        """
for value in (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324):
    mlops.set_stat("odd", value)
""",
        Expected(samples=5),
    )
    values = reported.values("odd")
    assert math.isnan(values[0])
    assert [repr(value) for value in values[1:]] == ["inf", "-inf", "-0.0", "5e-324"]


def test_times_are_floored_to_the_millisecond(output: OutputUnderTest) -> None:
    reported = output.run(
        """
mlops.set_stat("late", 1, timestamp="2012-12-31T23:59:59.999999Z")
mlops.set_stat("early", 1, timestamp="1969-12-31T23:59:59.9999Z")
with mlops.event_time("2012-12-31T23:59:59.9999Z"):
    mlops.set_stat("block", 1)
    mlops.series("handle").set(1.0)
    mlops.data_alert("alert", "")
    mlops.set_kpi("kpi", 1)
""",
        Expected(samples=4, events=1, kpis=1),
    )
    assert {one.name: one.time_ms for one in reported.samples} == {
        "late": NEW_YEAR_MS - 1,
        "early": -1,
        "block": NEW_YEAR_MS - 1,
        "handle": NEW_YEAR_MS - 1,
    }
    assert [one.event_time_ms for one in reported.events] == [NEW_YEAR_MS - 1]
    assert [one.timestamp_ms for one in reported.kpis] == [NEW_YEAR_MS - 1]


def test_a_series_keeps_its_order(output: OutputUnderTest) -> None:
    reported = output.run(
        """
handle = mlops.series("mixed")
for number in range(30_000):
    if number % 3 == 0:
        mlops.set_stat("mixed", float(number))
    elif number % 3 == 1:
        handle.set(float(number))
    else:
        mlops.set_stat("mixed", number)
    mlops.set_stat("other", 1.0)
""",
        Expected(samples=60_000),
    )
    assert reported.values("mixed") == [float(number) for number in range(30_000)]


def test_lines_of_a_graph_are_series_of_one_time(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
with mlops.event_time("2013-01-01"):
    mlops.set_stat(MultiLineGraph().name("lines").labels(["a", "b"]).data([1, 2.5]))
""",
        Expected(samples=2),
    )
    assert sorted(reported.samples, key=lambda one: one.value) == [
        sample("lines", 1.0, labels={"line": "a"}, graph_type="MULTILINEGRAPH"),
        sample("lines", 2.5, labels={"line": "b"}, graph_type="MULTILINEGRAPH"),
    ]


def test_structured_statistics(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from parallelm.mlops.stats.bar_graph import BarGraph
from parallelm.mlops.stats.html import HTML
from parallelm.mlops.stats.opaque import Opaque
from parallelm.mlops.stats.table import Table
with mlops.event_time("2013-01-01"):
    mlops.set_stat(Table().name("table").cols(["x"]).add_row([1]))
    mlops.set_stat(BarGraph().name("bars").cols(["a", "b"]).data([1, 2]))
    mlops.set_stat(HTML().name("page").data("<p>ü</p>"))
    mlops.set_stat(Opaque().name("bytes").data(bytes(range(256))))
""",
        Expected(structured=4),
    )
    assert [(one.name, one.content_type) for one in reported.structured] == [
        ("table", "application/json"),
        ("bars", "application/json"),
        ("page", "text/html"),
        ("bytes", "application/octet-stream"),
    ]
    assert [one.event_time_ms for one in reported.structured] == [NEW_YEAR_MS] * 4
    assert [one.origin for one in reported.structured] == [ORIGIN] * 4
    assert [one.seq for one in reported.structured] == [0, 1, 2, 3]
    assert len({one.producer_id for one in reported.structured}) == 1
    assert reported.structured[2].data == "<p>ü</p>".encode()
    assert reported.structured[3].data == bytes(range(256))


def test_events_and_alerts(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from parallelm.mlops.events.event import Event
from parallelm.mlops.events.event_type import EventType
with mlops.event_time("2013-01-01"):
    mlops.data_alert("first", "described", {"value": 1})
    mlops.health_alert("second", "")
    mlops.system_alert("third", "", b"bytes")
""",
        Expected(events=3),
    )
    assert [(one.title, one.description, one.is_alert, one.type) for one in reported.events] == [
        ("first", "described", True, "GenericDataAlert"),
        ("second", "", True, "GenericHealthAlert"),
        ("third", "", True, "GenericSystemAlert"),
    ]
    assert [one.event_time_ms for one in reported.events] == [NEW_YEAR_MS] * 3
    assert [one.origin for one in reported.events] == [ORIGIN] * 3
    assert reported.events[0].data == b'{"value": 1}'
    assert reported.events[2].data == b"bytes"
    assert len({one.event_id for one in reported.events}) == 3


def test_points_of_kpis(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from parallelm.mlops.stats.kpi_value import KpiValue
for day in range(1, 4):
    mlops.set_kpi("on time", day / 10, f"2013-01-0{day}", labels={"carrier": "UA"})
mlops.set_stat(KpiValue("cost", 7, "2013-01-01"))
""",
        Expected(kpis=4),
    )
    day_ms = 86_400_000
    assert reported.kpis == [
        *(
            records.KpiPoint(
                name="on time",
                labels={"carrier": "UA"},
                timestamp_ms=NEW_YEAR_MS + day * day_ms,
                value=(day + 1) / 10,
                model_id="",
            )
            for day in range(3)
        ),
        records.KpiPoint(name="cost", labels={}, timestamp_ms=NEW_YEAR_MS, value=7.0, model_id=""),
    ]


def test_models_and_what_is_reported_of_them(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from pathlib import Path
for number in range(3):
    Path("weights.txt").write_text("w" * number)
    model = mlops.Model(f"model {number}", "Text", "described")
    model.set_annotations({"number": number})
    model.set_model_path("weights.txt")
    mlops.publish_model(model)
    model.set_stat("auc", float(number))
""",
        Expected(models=3, samples=3),
    )
    assert [(one.name, one.size_bytes, one.file_name) for one in reported.models] == [
        (f"model {number}", number, "weights.txt") for number in range(3)
    ]
    assert [one.annotations for one in reported.models] == [{"number": str(number)} for number in range(3)]
    assert [one.origin for one in reported.models] == [ORIGIN] * 3
    assert {one.model_id: one.value for one in reported.samples} == {
        one.model_id: float(number) for number, one in enumerate(reported.models)
    }


def test_what_is_reported_after_done_is_refused_and_init_opens_again(output: OutputUnderTest) -> None:
    reported = output.run(
        """
from parallelm.mlops.mlops_exception import MLOpsException
handle = mlops.series("kept")
handle.set(1.0)
mlops.done()
for call in (lambda: mlops.set_stat("kept", 2.0), lambda: handle.set(2.0), lambda: mlops.data_alert("a", ""),
             lambda: mlops.set_kpi("k", 1), mlops.done):
    try:
        call()
    except MLOpsException as error:
        assert "Must call init()" in str(error)
    else:
        raise AssertionError(call)
assert mlops.done_called
mlops.init()
handle.set(3.0)
mlops.done()
assert mlops.dropped() == {}
""",
        Expected(samples=2),
    )
    assert reported.values("kept") == [1.0, 3.0]


def test_threads_lose_nothing_and_keep_their_order(output: OutputUnderTest) -> None:
    reported = output.run(
        """
import threading
def report(thread):
    for number in range(500):
        mlops.set_stat(f"of {thread}", float(number))
threads = [threading.Thread(target=report, args=(thread,)) for thread in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
        Expected(samples=4000),
    )
    for thread in range(8):
        assert reported.values(f"of {thread}") == [float(number) for number in range(500)]
