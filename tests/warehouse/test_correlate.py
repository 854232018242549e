"""A KPI beside the statistics of its MLApp, on the real engine."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from parallelm.warehouse import queries
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._statistic_series import names_a_count
from tests.warehouse.rows import DAY_MS, T0_MS, insert, kpi, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

HOUR_MS = 3_600_000


def correlated(client: Client) -> None:
    """A KPI ``rate`` two days behind ``drift``; ``volume`` on the day of it; and things that have nothing to do with them."""
    random = np.random.default_rng(11)
    days = 200
    cause, noise = random.normal(size=days), random.normal(size=days)
    weekend = (np.arange(days) % 7 >= 5) * 6.0
    insert(
        client,
        "statistics",
        [
            statistic(
                "drift", T0_MS + day * DAY_MS + HOUR_MS, cause[day] + weekend[day], labels={"feature": "temp"}
            )
            for day in range(days)
        ]
        + [statistic("noise", T0_MS + day * DAY_MS, noise[day] - weekend[day]) for day in range(days)]
        + [statistic("constant", T0_MS + day * DAY_MS, 1.0) for day in range(days)]
        # Reports of ten whose sum over a day, not mean, moves with the KPI.
        + [
            statistic("pipelinestat.count", T0_MS + day * DAY_MS + part * 1000, 10)
            for day in range(days)
            for part in range(50 + int(10 * cause[day]))
        ],
    )
    effect = 3 * np.concatenate([[0.0, 0.0], cause[:-2]]) + 0.5 * random.normal(size=days) - 2 * weekend
    insert(
        client,
        "kpis",
        [kpi("rate", T0_MS + day * DAY_MS, effect[day], labels={"carrier": "UA"}) for day in range(days)]
        + [kpi("rate", T0_MS + day * DAY_MS, 100.0, labels={"carrier": "AA"}) for day in range(0, days, 2)]
        + [kpi("volume", T0_MS + day * DAY_MS, cause[day]) for day in range(days)],
    )


def test_a_statistic_that_leads_the_kpi_is_first_with_its_lag_and_its_effect(
    settings: Settings, client: Client
):
    correlated(client)
    found = queries.correlate(settings, "rate", labels={"carrier": "UA"})
    by_name = found.table.set_index("statistic")
    drift = by_name.loc["drift"]
    assert set(found.table.head(2)["statistic"]) == {"drift", "pipelinestat.count"}
    assert (drift["lag"], drift["n"], drift["verdict"]) == (2, 198, "goes with it")
    assert drift["p_adjusted"] < 1e-10
    assert drift["effect_low"] < 3 * drift["deviation"] < drift["effect_high"]
    assert drift["in_words"].startswith("a rise of 'drift' (feature=temp) on predict by one deviation (")
    assert drift["in_words"].endswith("), 2 days later")
    assert by_name.loc["pipelinestat.count", "aggregation"] == "sum"
    assert by_name.loc["noise", "verdict"] == "no sign of it"
    assert by_name.loc["noise", "in_words"] == ""
    assert found.removed[0] == "day of week"
    assert found.tests == 3 * 8
    assert found.notes == (
        "1 of 4 statistics are left out: they do not vary beside what is removed, or have no value in the time of the KPI",
    )
    chosen = queries.correlate(
        settings,
        "volume",
        max_lag=0,
        aggregations={"pipelinestat.count": "mean"},
        statistics=["drift", "noise"],
    )
    assert set(chosen.table["statistic"]) == {"drift", "noise"}
    every = queries.correlate(settings, "volume", bucket="7D", max_lag=1, all_lags=True)
    assert set(every.table["n"]) <= {27, 28, 29, 30}
    assert len(every.table[every.table["statistic"] == "drift"]) == 2
    first_look = client.execute(
        "SELECT statistic, days, kpi_series FROM kpi_correlation(mlapp_id = 'app', kpi = 'rate')"
    )
    assert ("drift", 200, 2) in first_look


def test_label_sets_and_mlapps_are_never_taken_together_unasked(settings: Settings, client: Client):
    correlated(client)
    with pytest.raises(
        QueryError, match=r"has 2 series by its labels: carrier=AA; carrier=UA; choose one with --label"
    ):
        queries.correlate(settings, "rate")
    mixed = queries.correlate(settings, "rate", kpi_aggregation="mean", max_lag=0)
    assert "the KPI is the mean of 2 series: carrier=AA; carrier=UA" in mixed.notes
    insert(client, "kpis", [kpi("volume", T0_MS, 1.0, mlapp_id="other")])
    with pytest.raises(QueryError, match=r"has points in 2 MLApps: app; other; choose one with --mlapp"):
        queries.correlate(settings, "volume")
    insert(
        client,
        "statistics",
        [statistic("drift", T0_MS + day * DAY_MS, 1e6, mlapp_id="other") for day in range(90)],
    )
    insert(client, "statistics", [statistic("noise", T0_MS, 0.1, agent_id="host-2", model_id="m-2")])
    alone = queries.correlate(settings, "volume", mlapp_id="app", max_lag=0)
    assert alone.table.iloc[0]["r"] > 0.9
    assert [note for note in alone.notes if "together" in note] == [
        f"1 of 4 statistics were reported by or for several {word}, up to 2: their samples are taken together"
        for word in ("hosts", "models")
    ]


def test_days_are_those_of_the_time_zone_that_is_named(settings: Settings, client: Client):
    berlin = ZoneInfo("Europe/Berlin")
    random = np.random.default_rng(2)
    values = random.normal(size=120)
    starts = [datetime(2013, 2, 1, tzinfo=berlin) + timedelta(days=day) for day in range(120)]
    start_ms = [int(start.timestamp() * 1000) for start in starts]
    insert(
        client,
        "kpis",
        [kpi("k", at_ms, value, _index=0) for at_ms, value in zip(start_ms, values, strict=True)],
    )
    # From the first to the last hour of the local day.
    insert(
        client,
        "statistics",
        [
            statistic("s", at_ms + hour * HOUR_MS, value)
            for at_ms, value in zip(start_ms, values, strict=True)
            for hour in (0, 22)
        ],
    )
    with pytest.raises(
        QueryError, match=r"are at 22:00 and 23:00 UTC: they look like days of another time zone"
    ):
        queries.correlate(settings, "k")
    local = queries.correlate(settings, "k", timezone="Europe/Berlin").table.iloc[0]
    assert (local["lag"], local["n"]) == (0, 120)
    assert local["r"] > 0.97
    assert local["in_words"].endswith("on the same day")
    assert queries.correlate(settings, "k", timezone="Asia/Kolkata").table.iloc[0]["n"] > 100
    shown = queries.correlate(settings, "k", timezone="UTC", max_lag=1)
    assert abs(shown.table.iloc[0]["effect"]) < abs(local["effect"])


@pytest.mark.parametrize(
    ("zone", "times"), [("Europe/London", "00:00 and 23:00"), ("Atlantic/Azores", "00:00 and 01:00")]
)
def test_days_of_a_zone_that_has_the_clock_of_utc_for_half_a_year_are_asked_about(
    settings: Settings, client: Client, zone: str, times: str
):
    values = np.random.default_rng(3).normal(size=365)
    starts = [datetime(2013, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(days=day) for day in range(365)]
    start_ms = [int(start.timestamp() * 1000) for start in starts]
    insert(client, "kpis", [kpi("k", *each) for each in zip(start_ms, values, strict=True)])
    insert(
        client,
        "statistics",
        [statistic("s", at_ms + HOUR_MS, value) for at_ms, value in zip(start_ms, values, strict=True)],
    )
    with pytest.raises(
        QueryError, match=f"are at {times} UTC: they look like .*, such as {zone}, or say UTC"
    ):
        queries.correlate(settings, "k")
    with pytest.raises(QueryError, match="look like days of another time zone"):
        queries.impact(settings, "k", at="2013-07-01")
    best = queries.correlate(settings, "k", timezone=zone, max_lag=1).table.iloc[0]
    assert (best["lag"], best["n"]) == (0, 365)
    assert best["r"] > 0.97
    # Days of UTC, of which one point came an hour off, and days of winter alone.
    insert(
        client,
        "kpis",
        [kpi("utc", T0_MS + day * DAY_MS + (day == 200) * HOUR_MS, each) for day, each in enumerate(values)]
        + [kpi("winter", *each) for each in zip(start_ms[:60], values[:60], strict=True)],
    )
    assert queries.correlate(settings, "utc", max_lag=0).table.iloc[0]["n"] == 365
    in_london = queries.correlate(settings, "winter", timezone="Europe/London", max_lag=0)
    assert any("at midnight UTC, which lies" in note for note in in_london.notes) is False


def test_midnights_of_utc_in_days_of_another_zone_are_pointed_out(settings: Settings, client: Client):
    correlated(client)
    notes = queries.correlate(settings, "volume", timezone="America/New_York", max_lag=0).notes
    assert any("at midnight UTC, which lies within a day of America/New_York" in note for note in notes)


def test_what_is_too_short_is_said_to_be_and_not_ranked(settings: Settings, client: Client):
    insert(client, "kpis", [kpi("k", T0_MS + day * DAY_MS, float(day % 4)) for day in range(9)])
    insert(client, "statistics", [statistic("s", T0_MS + day * DAY_MS, float(day % 4)) for day in range(9)])
    found = queries.correlate(settings, "k")
    assert list(found.table["verdict"]) == ["too short to tell"]
    assert math.isnan(found.table["p_adjusted"][0])
    assert math.isnan(found.table["r"][0])
    assert found.tests == 0
    assert any(
        "too short to tell: 1 of 1 rows are worth fewer than 10 independent points" in note
        for note in found.notes
    )
    insert(client, "kpis", [kpi("alone", T0_MS, 1.0, mlapp_id="empty")])
    assert queries.correlate(settings, "alone").notes == (
        "MLApp 'empty' has no statistics in the time of the KPI",
    )


def test_months_are_the_calendars_and_holidays_and_local_clocks_count(settings: Settings, client: Client):
    berlin = ZoneInfo("Europe/Berlin")
    random = np.random.default_rng(4)
    level = random.normal(size=60)
    months = [datetime(2008 + number // 12, number % 12 + 1, 1, tzinfo=berlin) for number in range(60)]
    start_ms = [int(month.timestamp() * 1000) for month in months]
    insert(
        client, "kpis", [kpi("k", at_ms, level[number], _index=0) for number, at_ms in enumerate(start_ms)]
    )
    days = [months[0] + timedelta(days=day) for day in range(365 * 5)]
    insert(
        client,
        "statistics",
        [
            statistic(
                "s", int(at.timestamp() * 1000), level[(at.year - 2008) * 12 + at.month - 1] + random.normal()
            )
            for at in days
        ],
    )
    found = queries.correlate(
        settings, "k", bucket="month", timezone="Europe/Berlin", holidays=["2010-12-24"]
    )
    best = found.table.iloc[0]
    assert (best["lag"], best["n"], best["verdict"]) == (0, 60, "goes with it")
    assert best["r"] > 0.9
    assert best["in_words"].endswith("in the same month")
    assert found.removed[:2] == ("month of year", "holidays (1 bucket)")
    daily = queries.correlate(settings, "k", timezone="Europe/Berlin", max_lag=0)
    assert (
        "the KPI has a value in one of 31 days only, and is compared with the statistics of those; with --bucket month it is "
        "compared with all"
    ) in daily.notes


def test_a_kpi_that_does_not_vary_is_said_to_tell_nothing(settings: Settings, client: Client):
    rare = {"still": {}, "outages": {20: 1.0, 30: 1.0}}
    for name, days in rare.items():
        insert(client, "kpis", [kpi(name, T0_MS + day * DAY_MS, days.get(day, 0.0)) for day in range(90)])
    values = np.random.default_rng(1).normal(size=90)
    insert(
        client, "statistics", [statistic("s", T0_MS + day * DAY_MS, each) for day, each in enumerate(values)]
    )
    for name in rare:
        found = queries.correlate(settings, name)
        assert found.table.empty
        assert found.tests == 0
        assert found.notes == (
            "nothing can be told: the KPI does not vary beside season and trend, but for single values that are far off",
        )


def test_a_shift_of_the_level_is_one_event_and_is_said_to_be(settings: Settings, client: Client):
    random = np.random.default_rng(6)
    cause = random.normal(size=200)
    after = np.arange(200) >= 120
    values = cause + 0.5 * random.normal(size=200) + 5 * after
    insert(client, "kpis", [kpi("k", T0_MS + day * DAY_MS, each) for day, each in enumerate(values)])
    for name, series in {"cause": cause, "own shift": random.normal(size=200) + 9 * after}.items():
        insert(
            client,
            "statistics",
            [statistic(name, T0_MS + day * DAY_MS, each) for day, each in enumerate(series)],
        )
    found = queries.correlate(settings, "k")
    assert found.removed[-1] == "a shift of the KPI's level at 2013-05-01"
    assert list(found.table["verdict"]) == ["goes with it", "no sign of it"]
    assert found.table["r"][0] > 0.8
    assert any(
        "compare the KPI before and after with `mcenter impact k --at 2013-05-01`" in note
        for note in found.notes
    )
    local = queries.correlate(settings, "k", timezone="America/New_York", bucket="12h", max_lag=0)
    assert any("`mcenter impact k --at 2013-04-30T12:00:00-04:00`" in note for note in local.notes)
    kept = queries.correlate(settings, "k", keep=["trend"])
    assert "goes with it" in set(kept.table.set_index("statistic").loc[["own shift"], "verdict"])


def test_an_unknown_kpi_is_reported_with_those_that_exist(settings: Settings, client: Client):
    correlated(client)
    with pytest.raises(QueryError, match="there are these KPIs: 'rate', 'volume'"):
        queries.correlate(settings, "profit")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket": "NaT"}, "bucket 'NaT' is not a time delta"),
        ({"bucket": ""}, "bucket '' is not a time delta"),
        ({"bucket": None}, "bucket None is not a time delta"),
        ({"bucket": "90s"}, "whole minutes"),
        ({"timezone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ({"holidays": ["Christmas"]}, "a holiday is not a date"),
        ({"keep": ["noise"]}, "part to keep is 'noise'; there are: season, trend"),
        ({"max_lag": -1}, "largest lag is -1"),
        ({"max_lag": 1.5}, "largest lag is 1.5"),
        ({"kpi_aggregation": "max"}, "KPI aggregation is 'max'; there are: sum, mean"),
        ({"aggregations": {"s": "max"}}, "aggregation of 's' is 'max'; there are: sum, mean"),
        ({"correction": "bonferoni"}, "correction is 'bonferoni'; there are: holm, fdr_bh"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(settings: Settings, options: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        queries.correlate(settings, "k", **options)


def test_huge_and_nonfinite_values_spoil_nothing(settings: Settings, client: Client) -> None:
    values = np.random.default_rng(1).normal(size=40)
    spoiled = {3: 1e308, 5: math.nan, 6: math.inf, 9: -1e308}
    shown = [(T0_MS + day * DAY_MS, spoiled.get(day, value)) for day, value in enumerate(values)]
    insert(client, "statistics", [statistic("s", *each, _index=index) for each in shown for index in (0, 1)])
    insert(client, "kpis", [kpi("k", T0_MS + day * DAY_MS, value) for day, value in enumerate(values)])
    best = queries.correlate(settings, "k", max_lag=10_000).table.iloc[0]
    assert (best["lag"], best["n"]) == (0, 36)
    assert best["r"] > 0.85


def test_a_kpi_of_the_23rd_century_is_correlated(client: Client, settings: Settings) -> None:
    start_ms = T0_MS + 280 * 365 * DAY_MS
    values = np.random.default_rng(1).normal(size=60)
    insert(client, "kpis", [kpi("k", start_ms + n * DAY_MS, value) for n, value in enumerate(values)])
    insert(
        client, "statistics", [statistic("s", start_ms + n * DAY_MS, value) for n, value in enumerate(values)]
    )
    assert queries.correlate(settings, "k", max_lag=0).table.iloc[0]["r"] > 0.95
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ms)
    asked = {"start": start, "end": start + timedelta(days=40)}
    assert queries.correlate(settings, "k", max_lag=0, **asked).table.iloc[0]["n"] == 40


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("pipelinestat.count", True),
        ("n_total", True),
        ("Samples Count", True),
        ("account", False),
        ("discount", False),
        ("latency", False),
    ],
)
def test_what_counts_as_a_count(name: str, counts: bool):
    assert names_a_count(name) is counts
