"""A KPI before and after a change. The full table is that of ``python -m benchmarks impact``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.impact import EFFECT, LEVEL, coverage, simulated
from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli
from parallelm.warehouse import queries
from parallelm.warehouse.correlation import Calendar
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.interruption import estimate
from tests.warehouse.rows import DAY_MS, T0_MS, alert, deployment, insert, kpi, model

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_driver import Client

    from parallelm.connections import Settings

HOUR_MS = 3_600_000


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_the_interval_holds_the_truth(coefficient: float):
    held, _, _ = coverage(60, 30, coefficient, cases=60, seed=5)
    assert held >= 0.85  # 95 % of 60 are 57; 51 are below the first percentile


def test_season_and_trend_are_not_taken_for_a_change():
    place = np.arange(100)
    noise = 0.1 * np.random.default_rng(1).normal(size=100)
    kpi_values = 10 + 0.05 * place - 3.0 * (place % 7 >= 5) + noise
    found = estimate(kpi_values, place >= 80, Calendar(4 * DAY_MS, DAY_MS, 100))
    assert found is not None
    assert found.low < 0 < found.high
    assert found.naive > 2.0
    assert found.removed == ("day of week", "linear trend")
    assert (found.before, found.after) == (80, 20)


def test_missing_values_and_any_unit_change_nothing_but_the_unit():
    random = np.random.default_rng(2)
    values, is_after, calendar = simulated(random, 80, 40, 0.5)
    values[[3, 17, 90]] = np.nan
    found, scaled = (estimate(factor * values, is_after, calendar) for factor in (1.0, -1e9))
    assert found is not None
    assert scaled is not None
    assert scaled.effect == pytest.approx(-1e9 * found.effect, rel=1e-6)
    assert scaled.low == pytest.approx(-1e9 * found.high, rel=1e-6)
    assert found.before + found.after == 117


@pytest.mark.parametrize(("before", "after"), [(13, 30), (30, 2), (0, 0)])
def test_too_few_values_tell_nothing(before: int, after: int):
    days = before + after
    values = np.random.default_rng(1).normal(size=days)
    assert estimate(values, np.arange(days) >= before, Calendar(0, DAY_MS, max(days, 1))) is None


def history(client: Client, change_day: int = 90, days: int = 140) -> None:
    values, _, _ = simulated(np.random.default_rng(8), change_day, days - change_day, 0.3)
    values[change_day:] += 3
    insert(client, "kpis", [kpi("rate", T0_MS + day * DAY_MS, value) for day, value in enumerate(values)])
    at_ms = T0_MS + change_day * DAY_MS
    insert(
        client,
        "deployment_transitions_log",
        [deployment("m-2", "requested", at_ms - HOUR_MS), deployment("m-2", "active", at_ms)],
    )
    insert(client, "models_log", [model("m-2", at_ms - HOUR_MS, name="spring")])
    insert(client, "deployment_transitions_log", [deployment("m-3", "requested", at_ms + 9 * HOUR_MS)])
    insert(client, "alert_transitions_log", [alert("f/1", "firing", at_ms + 5 * HOUR_MS)])


def test_a_deployment_an_alert_and_a_time_are_compared_alike(settings: Settings, client: Client):
    history(client)
    found = queries.impact(settings, "rate", deployment_id="app/predict/m-2")
    assert found.change is not None
    assert (found.change.before, found.change.after) == (90, 50), "the day of the deployment counts once"
    assert found.change.low < EFFECT + 3 < found.change.high
    assert found.change.expected == pytest.approx(LEVEL, abs=5)
    assert found.sentences[0].startswith("beyond season and trend, 'rate' is ")
    assert "from the deployment of spring on predict (2013-04-01 00:00 UTC) on" in found.sentences[0]
    assert found.sentences[1].startswith("the plain difference of the means, ")
    assert found.notes == ()
    timed = queries.impact(settings, "rate", at="2013-04-01")
    assert timed.change == found.change
    assert timed.notes == (
        "1 other deployments of app went live in the time compared: spring on predict, 2013-04-01",
    )
    alerted = queries.impact(settings, "rate", alert_id="f/", before=60, after=30)
    assert alerted.change is not None
    assert (alerted.change.before, alerted.change.after) == (60, 30)
    assert any(
        note.startswith("the day of the change, from 2013-04-01 00:00, is on neither side: ")
        and note.endswith(", at 2013-04-01 05:00 by the clock of UTC")
        for note in alerted.notes
    )
    short = queries.impact(settings, "rate", at="2013-01-10")
    assert short.change is None
    assert short.sentences[0].startswith(
        "too short to tell: 'rate' needs at least 14 days before and 3 after 2013-01-10"
    )


def test_a_year_of_minutes_is_compared_in_the_minutes_around_the_moment_alone(
    settings: Settings, client: Client
):
    values = 0.1 * np.random.default_rng(8).normal(size=150) + (np.arange(150) >= 90)
    minutes = [(T0_MS + 60_000 * (minute - 90), value) for minute, value in enumerate(values)]
    far = [(T0_MS + days * DAY_MS, 50.0, {"site": "old"}) for days in (-200, 200)]
    insert(client, "kpis", [kpi("load", *each) for each in minutes])
    insert(client, "kpis", [kpi("load", at_ms, value, labels=labels) for at_ms, value, labels in far])
    asked: dict[str, Any] = {"bucket": "1min", "before": 90, "after": 60}
    for zone in ("UTC", "Asia/Kolkata"):
        found = queries.impact(settings, "load", at="2013-01-01", labels={}, timezone=zone, **asked)
        assert found.change is not None
        assert (found.change.before, found.change.after) == (90, 60)
        assert found.change.effect == pytest.approx(1, abs=0.2)
    with pytest.raises(QueryError, match=r"KPI 'load' has no points in that time$"):
        queries.impact(settings, "load", at="2014-01-01", **asked)
    queries.impact(
        settings, "load", at="2200-01-01", **(asked | {"bucket": "100000D"}), kpi_aggregation="mean"
    )


def test_percent_of_nothing_are_left_out(settings: Settings, client: Client):
    values = [float(day >= 42) for day in range(63)]
    insert(client, "kpis", [kpi("outages", T0_MS + day * DAY_MS, value) for day, value in enumerate(values)])
    first, naive, _ = queries.impact(settings, "outages", at="2013-02-12").sentences
    assert first.startswith("beyond season and trend, 'outages' is 1 higher (")
    assert "%" not in first + naive


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say by one of --deployment, --alert and --at"),
        ({"at": "2013-04-01", "alert_id": "f"}, "say by one of"),
        ({"deployment_id": "nothing"}, "there is no deployment whose id is or begins with 'nothing'"),
        (
            {"deployment_id": "app/"},
            "several deployments have ids that begin with 'app/': app/predict/m-2, app/predict/m-3",
        ),
        ({"deployment_id": "app/predict/m-3"}, "'app/predict/m-3' never went live; it is requested"),
        ({"at": "soon"}, "'soon'"),
        ({"at": "2013-04-01", "before": 0}, "number of buckets before is 0"),
        ({"at": "2013-04-01", "holidays": ["x"]}, "a holiday is not a date"),
    ],
    ids=str,
)
def test_what_is_not_clear_is_asked(
    settings: Settings, client: Client, options: dict[str, Any], message: str
):
    history(client)
    with pytest.raises(QueryError, match=message):
        queries.impact(settings, "rate", **options)


def test_the_command_answers_in_words_and_as_json(
    settings: Settings, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    history(client)
    save_settings(settings, tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    shown = CliRunner().invoke(cli, ["impact", "rate", "--deployment", "app/predict/m-2"])
    assert shown.exit_code == 0, shown.output
    first, naive, warning, how = shown.output.splitlines()
    assert first.startswith("beyond season and trend, 'rate' is ")
    assert naive.startswith("the plain difference of the means, ")
    assert warning == "what else changed at that time is in both figures"
    assert how.startswith("model: interrupted time series: ")
    assert "90 values before and 50 after, removed day of week, linear trend" in how
    found = json.loads(
        CliRunner().invoke(cli, ["impact", "rate", "--at", "2013-04-01", "--format", "json"]).output
    )
    assert found["change"]["low"] < EFFECT + 3 < found["change"]["high"]
    refused = CliRunner().invoke(cli, ["impact", "rate", "--alert", "no"])
    assert (refused.exit_code, "there is no alert whose id is or begins with 'no'" in refused.output) == (
        1,
        True,
    )
