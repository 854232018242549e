"""One picture of a KPI: what a reader sees in it, from the real engine to the figure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.cli import cli
from parallelm.operations.plots import plot_kpi
from parallelm.warehouse import queries
from tests.warehouse.rows import DAY_MS, T0_MS, alert, deployment, insert, kpi, model, statistic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_driver import Client
    from matplotlib.figure import Figure

    from parallelm.connections import Settings

DAYS = 120
HOUR_MS = 3_600_000


@pytest.fixture
def client(tables: Settings) -> Iterator[Client]:
    with clickhouse_client(tables.clickhouse) as made:
        yield made


def history(client: Client) -> None:
    """``rate`` follows ``drift`` of one feature; two models on a node; an alert that a new model settled, one that is open."""
    random = np.random.default_rng(3)
    drift = random.normal(size=(DAYS, 12))
    rate = 10 + drift[:, 4] + 0.2 * random.normal(size=DAYS)
    insert(client, "kpis", [kpi("rate", T0_MS + day * DAY_MS, rate[day]) for day in range(DAYS)])
    insert(
        client,
        "statistics",
        [
            statistic("drift", T0_MS + day * DAY_MS, drift[day, number], labels={"feature": f"f{number}"})
            for day in range(DAYS)
            for number in range(12)
        ],
    )
    names = {"m-1": "winter model", "m-2": "spring\n$model$ of 气象", "m-3": "before its time"}
    insert(client, "models_log", [model(each, T0_MS, name=name) for each, name in names.items()])
    insert(client, "deployment_transitions_log", [deployment("m-1", "active", T0_MS - DAY_MS)])
    insert(client, "deployment_transitions_log", [deployment("m-1", "superseded", T0_MS + 60 * DAY_MS)])
    insert(client, "deployment_transitions_log", [deployment("m-2", "active", T0_MS + 60 * DAY_MS)])
    insert(
        client,
        "deployment_transitions_log",
        [deployment("m-3", "active", T0_MS + (DAYS + 5) * DAY_MS, node_id="later")],
    )
    fired = {"a/1": (T0_MS + 50 * DAY_MS, "temp"), "b/1": (T0_MS + 110 * DAY_MS, "wind")}
    for alert_id, (at_ms, feature) in fired.items():
        more = {"started_at": at_ms - DAY_MS, "labels": {"feature": feature}}
        insert(client, "alert_transitions_log", [alert(alert_id, "firing", at_ms, **more)])
    insert(
        client,
        "alert_transitions_log",
        [
            alert(
                "a/1",
                "resolved",
                T0_MS + 61 * DAY_MS,
                started_at=T0_MS + 49 * DAY_MS,
                labels={"feature": "temp"},
            )
        ],
    )


def texts(figure: Figure) -> list[str]:
    """All that is written in the panels."""
    found = [figure.get_suptitle()]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts] + [
            label.get_text() for label in axes.get_yticklabels()
        ]
        legend = axes.get_legend()
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return found


def test_a_kpi_is_drawn_with_what_goes_with_it_live_models_and_alerts(settings: Settings, client: Client):
    history(client)
    figure = plot_kpi(settings, "rate", mlapp_id="app")
    shown = texts(figure)
    assert shown[0] == "rate of app, models on predict (times: UTC)"
    assert {"rate", "drift", "Alerts", "drift: temp", "drift: wind"} <= set(shown)
    assert {"winter model", "spring $model$ of 气象"} <= set(shown)
    assert "mean of each bucket; feature=f4, node predict" in shown
    assert not [each for each in shown if "m-1" in each or "before its time" in each]
    assert len(figure.axes) == 3
    winter = next(text for text in figure.axes[0].texts if text.get_text() == "winter model")
    assert winter.xy[0] == pytest.approx(T0_MS / DAY_MS + 30), (
        "the name stands in the middle of the model's time"
    )
    # All panels show the time of the KPI: from its first day to the end of its last.
    assert {axes.get_xlim() for axes in figure.axes} == {(T0_MS / DAY_MS, T0_MS / DAY_MS + DAYS)}
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_every_series_of_a_named_statistic_has_a_line_of_its_own(settings: Settings, client: Client):
    history(client)
    figure = plot_kpi(settings, "rate", statistics=["drift", "none"], end="2013-03-01")
    shown = texts(figure)
    assert "mean of each bucket; 8 of 12 series are shown" in shown
    assert [each for each in shown if each.startswith("feature=")] == [
        f"feature=f{number}, node predict" for number in (0, 1, 10, 11, 2, 3, 4, 5)
    ]
    assert "winter model" in shown
    assert "spring $model$ of 气象" not in shown
    assert "drift: wind" not in shown
    found = queries.timeline(settings, "rate", statistics=["drift", "none"])
    assert "there is no statistic 'none' in the time of the KPI" in found.notes


def test_nodes_have_lanes_where_there_are_several(settings: Settings, client: Client):
    history(client)
    canary = {"node_id": "canary", "deployment_id": "app/canary/m-1", "transition_id": "canary"}
    insert(client, "deployment_transitions_log", [deployment("m-1", "active", T0_MS + 5 * DAY_MS, **canary)])
    shown = texts(plot_kpi(settings, "rate", statistics=[]))
    assert {"Live models", "predict", "canary", "winter model"} <= set(shown)
    alone = texts(plot_kpi(settings, "rate", statistics=[], node_id="canary"))
    assert alone[0] == "rate of app, models on canary (times: UTC)"
    assert "No alert fired" in alone


def test_days_begin_with_the_midnights_of_the_zone(settings: Settings, client: Client):
    berlin = ZoneInfo("Europe/Berlin")
    starts = [datetime(2013, 3, 29, tzinfo=berlin) + timedelta(days=day) for day in range(5)]
    insert(client, "kpis", [kpi("k", int(at.timestamp() * 1000), 1.0, _index=0) for at in starts])
    found = queries.timeline(settings, "k", timezone="Europe/Berlin", statistics=[])
    assert list(found.points["time"]) == starts
    assert (found.start, found.end) == (starts[0], starts[-1] + timedelta(days=1))
    hours = queries.timeline(settings, "k", timezone="Europe/Berlin", statistics=[], bucket="1h")
    assert hours.points["time"].is_monotonic_increasing
    figure = plot_kpi(settings, "k", timezone="Europe/Berlin", statistics=[])
    assert texts(figure)[0] == "k of app (times: Europe/Berlin)"
    range_shown = figure.axes[-1].get_xlabel()
    assert range_shown == "event time (Europe/Berlin), from 29 Mar 2013 to 03 Apr 2013"


def test_the_command_writes_a_picture(
    settings: Settings, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    history(client)
    save_settings(settings, tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    for suffix, first in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        file = tmp_path / f"rate.{suffix}"
        done = CliRunner().invoke(cli, ["plot", "rate", "--output", str(file)])
        assert done.exit_code == 0, done.output
        assert "note: statistics: those that go with the KPI most surely" in done.output
        assert file.read_bytes().startswith(first)
    for arguments, message in (
        (["rate", "-o", str(tmp_path / "rate.gif")], "must end with one of .png, .svg, .pdf"),
        (["rate", "-o", str(tmp_path / "no" / "rate.png")], "No such file or directory"),
        (["profit", "-o", str(tmp_path / "rate.png")], "there are these KPIs: 'rate'"),
    ):
        refused = CliRunner().invoke(cli, ["plot", *arguments])
        assert refused.exit_code != 0
        assert message in refused.output
