"""One rule for ranges of times in every question, and for years from 1900 to 2299, on the real engine."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from parallelm.schemas.times import floor_ms, time_ns
from parallelm.warehouse import QueryError, queries
from tests.warehouse.rows import DAY_MS, T0_MS, alert, deployment, insert, kpi, model, statistic

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_driver import Client

    from parallelm.connections import Settings

DAY = pd.Period("2013-01-01", "D")
MOMENTS_MS = {"before": T0_MS - 1, "first": T0_MS, "last": T0_MS + DAY_MS - 1, "next": T0_MS + DAY_MS}

QUESTIONS: dict[str, Callable[..., pd.DataFrame]] = {
    "statistics": queries.statistics,
    "structured statistics": queries.structured_statistics,
    "histograms": queries.histograms,
    "kpis": queries.kpis,
    "events": queries.events,
    "models": queries.models,
    "alerts": lambda settings, **asked: queries.alerts(settings, fired_only=False, **asked),
    "dead letters": queries.dead_letters,
}


@pytest.fixture
def rows(client: Client) -> Client:
    """A row of each kind at each of ``MOMENTS_MS``."""
    for number, at_ms in enumerate(MOMENTS_MS.values()):
        insert(client, "statistics", [statistic("s", at_ms, float(number), _index=0)])
        insert(client, "structured_statistics", [{"mlapp_id": "app", "name": "t", "event_time": at_ms}])
        insert(client, "histograms", [{"mlapp_id": "app", "name": "h", "event_time": at_ms}])
        insert(client, "kpis", [kpi("k", at_ms, float(number))])
        insert(client, "events", [{"mlapp_id": "app", "title": "e", "event_time": at_ms}])
        insert(client, "models_log", [model(f"m-{number}", at_ms)])
        insert(client, "alert_transitions_log", [alert(f"a/{number}", "pending", at_ms, started_at=at_ms)])
        insert(
            client,
            "dead_letters_log",
            [{"source_offset": number, "failed_at": at_ms}],
        )
    return client


RANGES: list[tuple[Any, Any, list[str]]] = [
    (DAY.start_time, DAY.end_time, ["first", "last"]),
    (date(2013, 1, 1), date(2013, 1, 2), ["first", "last"]),
    ("2013-01-01", "2013-01-02T00:00:00Z", ["first", "last"]),
    (DAY.end_time, DAY.end_time, ["last"]),
    (DAY.end_time, None, ["last", "next"]),
    (None, DAY.start_time, ["before"]),
    (DAY.start_time, DAY.start_time, ["first"]),
    (None, DAY.start_time + pd.Timedelta(1, "ns"), ["before", "first"]),
    (datetime.min, datetime.max, list(MOMENTS_MS)),  # noqa: DTZ901
    (None, None, list(MOMENTS_MS)),
    (datetime.max, None, []),  # noqa: DTZ901
    (None, date(1850, 1, 1), []),
]


def test_every_question_takes_the_same_range(rows: Client, settings: Settings) -> None:
    assert rows.execute("SELECT count() FROM statistics") == [(4,)]
    for name, ask in QUESTIONS.items():
        for start, end, expected in RANGES:
            found = ask(settings, start=start, end=end)
            column = next((each for each in ("event_time", "failed_at") if each in found), found.columns[0])
            moments = sorted(set(found[column]), key=str)
            if name == "alerts":
                moments = list(found["started_at"])
            got = sorted(floor_ms(time_ns(moment)) for moment in moments)
            assert got == [MOMENTS_MS[moment] for moment in expected], (name, start, end)
        for start, end in ((1_356_998_400, None), (DAY.end_time, DAY.start_time), (None, "tomorrow")):
            with pytest.raises(QueryError):
                ask(settings, start=start, end=end)


def test_views_of_a_moment_read_it_as_calls_do(client: Client) -> None:
    live_ms = T0_MS + DAY_MS - 1
    insert(client, "deployment_transitions_log", [deployment("m-1", "active", live_ms)])
    insert(client, "deployment_transitions_log", [deployment("m-1", "superseded", T0_MS + DAY_MS)])
    insert(client, "alert_transitions_log", [alert("a/1", "firing", live_ms)])
    insert(client, "alert_transitions_log", [alert("a/1", "resolved", T0_MS + DAY_MS)])
    for at, is_there in (
        ("2013-01-01 23:59:59.998999999", 0),
        ("2013-01-01 23:59:59.999", 1),
        ("2013-01-01 23:59:59.999999999", 1),
        ("2013-01-02 00:00:00", 0),
    ):
        assert live_ms <= floor_ms(time_ns(at)) < T0_MS + DAY_MS if is_there else True
        for view in ("live_models", "alerts_open"):
            assert client.execute(f"SELECT count() FROM {view}(at = '{at}')") == [(is_there,)], (view, at)


YEARS = (1900, 1969, 1970, 2262, 2263, 2299)


def test_times_of_every_year_come_as_they_were(client: Client, settings: Settings) -> None:
    moments = [
        datetime(year, *rest, tzinfo=UTC)
        for year in YEARS
        for rest in ((1, 1, 0, 0, 0, 0), (12, 31, 23, 59, 59, 999_000))
    ]
    at_ms = [(moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) for moment in moments]
    insert(client, "statistics", [statistic("s", at, 1.0, _index=0) for at in at_ms])
    insert(client, "kpis", [kpi("k", at, 1.0) for at in at_ms])
    for frame in (queries.statistics(settings), queries.kpis(settings)):
        assert str(frame["event_time"].dtype) == "datetime64[ms, UTC]"
        assert frame["event_time"].astype("int64").tolist() == at_ms
        assert [moment.to_pydatetime() for moment in frame["event_time"]] == moments
    for moment, at in zip(moments, at_ms, strict=True):
        found = queries.kpis(settings, start=moment, end=moment)
        assert found["event_time"].astype("int64").tolist() == [at]
    counts = queries.statistic_counts(settings)
    assert counts["first_time"].dt.year.tolist() == [1900]
    assert counts["last_time"].dt.year.tolist() == [2299]
    for bucket, width_ms in (("1m", 60_000), ("1h", 3_600_000), ("1d", DAY_MS)):
        rollup = queries.statistics_rollup(settings, bucket)
        assert rollup["bucket_start"].astype("int64").tolist() == [at // width_ms * width_ms for at in at_ms]


@pytest.mark.usefixtures("client")
def test_missing_times_and_times_of_other_zones_keep_the_type(settings: Settings) -> None:
    found = queries.query_frame(
        settings,
        "SELECT if(number = 0, NULL, toDateTime64('2299-12-31 23:59:59.999', 3, 'UTC')) AS missing,"
        " toDateTime64('2026-03-01 01:00:00', 3, 'Europe/Berlin') AS berlin,"
        " toDateTime('2026-03-01 00:00:00', 'UTC') AS seconds FROM numbers(2)",
    )
    assert set(map(str, found.dtypes)) == {"datetime64[ms, UTC]"}
    assert found["missing"].isna().tolist() == [True, False]
    assert found["missing"].dt.year.tolist()[1] == 2299
    assert (found["berlin"] == found["seconds"]).all()


def test_the_last_of_several_samples_of_one_instant_is_that_of_the_later_report(
    client: Client, settings: Settings
) -> None:
    # In the order of arrival; parts and merges may bring them in any other. The last comes from an instance that was
    # restarted under another id, and so by way of another partition.
    now_ms = time.time_ns() // 1_000_000
    places = [(5, 7, 0, 0), (5, 7, 0, 1), (5, 7, 1, 0), (5, 8, 0, 0), (3, 2, 0, 0)]
    samples = [
        statistic(
            "s", T0_MS, float(number), _partition=partition, _offset=offset, _series=series, _index=index
        )
        | {"ingested_at": now_ms + (offset if partition == 5 else 9)}
        for number, (partition, offset, series, index) in enumerate(places)
    ]
    for sample in (samples[4], samples[1], samples[3], samples[0], samples[2]):
        insert(client, "statistics", [sample])
    assert queries.statistics(settings, "s")["value"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert queries.statistics(settings, "s", limit=3)["value"].tolist() == [2.0, 3.0, 4.0]
    for rollup in ("1m", "1h"):
        assert queries.statistics_rollup(settings, rollup, "s")["last_value"].tolist() == [4.0]
