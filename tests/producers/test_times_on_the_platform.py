"""Times and ranges as users ask them, from the call to the frame, on the real broker and engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.schemas import topics
from parallelm.warehouse import queries
from tests.producers.conftest import running_platform
from tests.producers.definitions import definition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce
    from tests.producers.conftest import ComponentOnPlatform

DAY_MS = 1_772_323_200_000
"""2026-03-01."""

REPORT = """
import numpy as np, pandas as pd
from parallelm.mlops import mlops
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.multi_line_graph import MultiLineGraph
from parallelm.mlops.stats.single_value import SingleValue
from parallelm.mlops.stats.table import Table
from parallelm.mlops.stats_category import StatCategory
mlops.init()
day = pd.Period("2026-03-01", "D")

def report(value, at):
    "One of each kind: with a time of its own, and in a block."
    mlops.set_stat("line", value, timestamp=at)
    mlops.set_stat(MultiLineGraph().name("lines").labels(["a", "b"]).data([value, -value]), timestamp=at)
    mlops.set_stat(Table().name("table").cols(["x"]).add_row("r", [value]), timestamp=at)
    mlops.set_kpi("sales", value, at, labels={"n": str(value)})
    mlops.set_event("event", EventType.System, value, timestamp=at)
    with mlops.event_time(at):
        mlops.set_stat("block", float(value))
        mlops.set_stat("handle", int(value))
        mlops.series("handle").set(value + 0.5)
        model = mlops.Model("m", ModelFormat.TEXT)
        open("m.txt", "w").write("weights")
        model.set_model_path("m.txt")
        mlops.publish_model(model)

report(1.0, day.start_time)
report(2.0, day.end_time)
report(3.0, (day + 1).start_time)
for year in ("1900", "1969", "2262", "2299"):
    for name, at in (("first", f"{year}-01-01"), ("last", f"{year}-12-31T23:59:59.999999")):
        mlops.set_stat("years", 1.0, timestamp=at)
        mlops.set_stat(MultiLineGraph().name("years of lines").labels(["a", "b"]).data([1, 2]), timestamp=at)
        mlops.set_stat(Table().name("years of tables").cols(["x"]).add_row("r", [1]), timestamp=at)
        mlops.set_kpi("years", 1.0, at)
        mlops.set_event("years", EventType.Health, timestamp=at)
with mlops.event_time("2299-12-31T23:59:59.999"):
    model = mlops.Model("late", ModelFormat.TEXT)
    model.set_data_distribution_stat(np.arange(300.0).reshape(100, 3))
    open("m.txt", "w").write("weights")
    model.set_model_path("m.txt")
    print(mlops.publish_model(model))

def last(number):
    "Reports of one instant, of which the last one holds."
    with mlops.event_time("2013-01-01"):
        mlops.set_stat("last", float(number))
        mlops.series("last").set(number + 0.25)
        mlops.set_stat(SingleValue().name("last").value(number + 0.5))
        mlops.set_stat("last", number + 0.75, timestamp="2013-01-01")
        mlops.set_stat("last of forms", number)
        mlops.set_stat("last of forms", number + 0.25, StatCategory.CONFIG)
        mlops.set_stat("last of forms", number + 0.5)
        mlops.set_stat(MultiLineGraph().name("last of lines").labels(["a"]).data([number]))
        mlops.set_stat(Table().name("last of tables").cols(["x"]).add_row("r", [number]))
        mlops.set_kpi("last", number)

last(9)
last(1)
mlops.done()
mlops.init()
last(5)
last(2)
mlops.done()
"""

ASK = """
import json
import pandas as pd
from datetime import date, datetime
from parallelm.mlops import mlops
from parallelm.mlops.events.event_type import EventType
mlops.init()
day = pd.Period("2026-03-01", "D")
ranges = {
    "day": (day.start_time, day.end_time),
    "dates": (date(2026, 3, 1), date(2026, 3, 2)),
    "texts": ("2026-03-01", "2026-03-02"),
    "last instant": (day.end_time, day.end_time),
    "last millisecond": (day.end_time, (day + 1).start_time),
    "until it": (day.start_time, day.end_time.floor("ms")),
}
def values(frame, column):
    return [] if frame is None else [float(value) for value in frame[column]]
answers = {
    name: {
        "line": values(mlops.get_stats("line", None, None, *asked), "value"),
        "lines": values(mlops.get_stats("lines", None, None, *asked), "a"),
        "table": [row[0] for row in mlops.get_stats("table", None, None, *asked)["values"]]
            if name != "nothing" else [],
        "block": values(mlops.get_stats("block", None, None, *asked), "value"),
        "handle": values(mlops.get_stats("handle", None, None, *asked), "value")[::2],
        "kpi": values(mlops.get_kpi("sales", *asked), "value"),
        "events": values(mlops.get_events(EventType.System, start_time=asked[0], end_time=asked[1], is_alert=None), "data"),
        "models": len(mlops.get_models_by_time(*asked)),
    }
    for name, asked in ranges.items()
}
ever = (datetime.min, datetime.max)
frames = {
    "samples": mlops.get_stats("years", None, None, *ever),
    "lines": mlops.get_stats("years of lines", None, None, *ever),
    "tables": mlops.get_stats("years of tables", None, None, *ever),
    "kpi": mlops.get_kpi("years", *ever),
    "events": mlops.get_events(EventType.Health, start_time=ever[0], end_time=ever[1], is_alert=None),
}
late = mlops.get_models_by_time("2299-01-01", datetime.max)
distribution = mlops.get_data_distribution_stats(late["id"][0])
answers["dtypes"] = sorted({str(frame["time"].dtype) for frame in frames.values()} | {str(distribution["timestamp"].dtype)})
answers["years"] = {name: frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").tolist() for name, frame in frames.items()}
answers["created"] = frames["events"]["created"].tolist()
answers["late model"] = late["createdOn"].tolist() if "createdOn" in late else late.iloc[0].to_dict()
answers["distribution"] = distribution["timestamp"].dt.year.tolist()
one = ("2013-01-01", "2013-01-01")
answers["last"] = {
    "samples": mlops.get_stats("last", None, None, *one)["value"].tolist(),
    "forms": mlops.get_stats("last of forms", None, None, *one)["value"].tolist()[-1:],
    "lines": mlops.get_stats("last of lines", None, None, *one)["a"].tolist(),
    "tables": [row[0] for row in mlops.get_stats("last of tables", None, None, *one)["values"]],
    "kpi": mlops.get_kpi("last", *one)["value"].tolist(),
}
mlops.done()
print(json.dumps(answers, default=str))
"""


@pytest.fixture(scope="module")
def reported(
    stack: Settings, made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ComponentOnPlatform, dict[str, Any]]]:
    from tests.conftest import settings_of_a_test

    folder = tmp_path_factory.mktemp("times")
    with (
        settings_of_a_test(stack, folder) as own,
        made_once.lent(own) as settings,
        running_platform(settings, folder) as platform,
    ):
        platform.produce(topics.MLAPPS, definition(), "app")
        platform.run(REPORT)
        platform.rows("SELECT count() FROM statistics", lambda rows: rows[0][0] >= 3 * 5 + 24 + 4 * 8)
        platform.rows("SELECT count() FROM structured_statistics", lambda rows: rows[0][0] >= 3 + 8 + 1 + 4)
        platform.rows("SELECT count() FROM kpis", lambda rows: rows[0][0] >= 3 + 8 + 4)
        platform.rows("SELECT count() FROM events", lambda rows: rows[0][0] >= 3 + 8)
        platform.rows("SELECT count() FROM models", lambda rows: rows[0][0] >= 4)
        platform.rows("SELECT 1 FROM mlapps")
        yield platform, json.loads(platform.run(ASK))


ReportedOnPlatform = tuple["ComponentOnPlatform", dict[str, Any]]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("day", [1, 2]),
        ("dates", [1, 2]),
        ("texts", [1, 2]),
        ("last instant", [2]),
        ("last millisecond", [2]),
        ("until it", [1]),
    ],
)
def test_a_range_gives_the_same_reports_in_every_question(
    reported: ReportedOnPlatform, asked: str, found: list[int]
) -> None:
    models = len(found)
    assert reported[1][asked] == dict.fromkeys(
        ("line", "lines", "table", "block", "handle", "kpi", "events"), found
    ) | {"models": models}


def test_the_last_instant_of_a_day_is_stored_as_its_last_millisecond(reported: ReportedOnPlatform) -> None:
    last = DAY_MS + 86_400_000 - 1
    for table, where in (
        ("statistics", "name IN ('line', 'block', 'handle', 'lines') AND abs(value) BETWEEN 2 AND 2.5"),
        (
            "structured_statistics",
            "name = 'table' AND data LIKE '%2.0%'",
        ),
        ("kpis", "name = 'sales' AND value = 2"),
        ("events", "title = 'event' AND data = '2.0'"),
    ):
        sql = f"SELECT DISTINCT toUnixTimestamp64Milli(event_time) FROM {table} WHERE {where}"
        assert reported[0].rows(sql) == [(last,)], table


def test_frames_hold_every_year_that_can_be_stored(reported: ReportedOnPlatform) -> None:
    expected = [
        time
        for year in (1900, 1969, 2262, 2299)
        for time in (f"{year}-01-01T00:00:00.000000", f"{year}-12-31T23:59:59.999000")
    ]
    assert reported[1]["years"] == dict.fromkeys(("samples", "lines", "tables", "kpi", "events"), expected)
    assert reported[1]["dtypes"] == ["datetime64[ms, UTC]"]
    assert reported[1]["created"][-1] == 10_413_791_999_999
    assert reported[1]["distribution"] == [2299] * 3


def test_the_last_of_several_reports_of_one_instant_holds(reported: ReportedOnPlatform) -> None:
    platform, answers = reported
    numbers = [9, 1, 5, 2]
    assert answers["last"] == {
        "samples": [number + part for number in numbers for part in (0.0, 0.25, 0.5, 0.75)],
        "forms": [2.5],
        "lines": numbers,
        "tables": numbers,
        "kpi": [2],
    }
    for rollup in ("1m", "1h"):
        frame = queries.statistics_rollup(platform.settings, rollup, "last")
        assert frame["last_value"].tolist() == [2.75]
        frame = queries.statistics_rollup(platform.settings, rollup, "last of forms")
        assert frame["last_value"].tolist() == [2.5]
        frame = queries.statistics_rollup(platform.settings, rollup, "last of lines")
        assert frame["last_value"].tolist() == [2.0]
    limited = queries.statistics(platform.settings, "last", limit=1)
    assert limited["value"].tolist() == [2.75]
