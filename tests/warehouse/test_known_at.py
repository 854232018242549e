"""As known at a moment: every question leaves out what arrived later, whatever table it reads and through whatever view."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from parallelm.warehouse.queries import (
    activity,
    alerts,
    as_known_at,
    current_mlapp,
    deployment_history,
    deployments,
    events,
    kpis,
    latest_report,
    live_models,
    models,
    reported_span,
    reported_statistics,
    statistic_lines,
)
from parallelm.warehouse.queries._known_at import ARRIVING
from parallelm.warehouse.queries.audit import actions
from tests.warehouse.rows import DAY_MS, T0_MS, alert, deployment, insert, kpi, model, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

THEN_MS = time.time_ns() // 1_000_000 - DAY_MS
LATER_MS = THEN_MS + 3_600_000
ROLLUPS = {"statistics_by_day_state"}
OPERATIONAL = {"dead_letters_log"}
"""What an operator reads: always as it is now."""


def then(settings: Settings) -> Settings:
    return as_known_at(settings, datetime.fromtimestamp(THEN_MS / 1000, UTC))


@pytest.fixture
def history(client: Client) -> None:
    """One of each kind that had arrived, and what came an hour later: corrections, answers, late reports."""
    early, late = {"ingested_at": THEN_MS}, {"ingested_at": LATER_MS}
    insert(
        client,
        "alert_transitions_log",
        [
            alert("a-1", "firing", T0_MS, transition_id="t1", **early),
            alert("a-1", "resolved", T0_MS + 1, transition_id="t2", previous_state="firing", **late),
            alert("a-2", "firing", T0_MS, transition_id="t3", **late),
        ],
    )
    insert(
        client,
        "deployment_transitions_log",
        [
            deployment("m-1", "requested", T0_MS, transition_id="d1", deployment_id="one", attempt=1, **early),
            deployment("m-1", "active", T0_MS + 1, transition_id="d2", deployment_id="one", attempt=1, **early),
            deployment("m-1", "rolled_back", T0_MS + 2, transition_id="d3", deployment_id="one", attempt=1, **late),
            deployment("m-2", "active", T0_MS + 2, transition_id="d4", deployment_id="two", attempt=2, **late),
        ],
    )  # fmt: skip
    insert(client, "models_log", [model("m-1", T0_MS, **early), model("m-2", T0_MS + 1, **late)])
    event = {"mlapp_id": "app", "type": "GenericEvent", "event_time": T0_MS}
    insert(client, "events", [event | early | {"event_id": "e1"}, event | late | {"event_id": "e2"}])
    action = {"mlapp_id": "app", "action": "approve", "event_time": T0_MS, "who": "ada"}
    insert(client, "actions", [action | early | {"action_id": "1"}, action | late | {"action_id": "2"}])
    insert(client, "kpis", [kpi("revenue", T0_MS, 1.0, **early), kpi("revenue", T0_MS, 2.0, **late)])
    report = {"mlapp_id": "app", "name": "table", "graph_type": "TABLE", "event_time": T0_MS}
    insert(
        client, "structured_statistics", [report | early | {"data": "old"}, report | late | {"data": "new"}]
    )
    definition = {"mlapp_id": "app", "event_time": T0_MS}
    insert(client, "mlapps", [definition | early | {"version": 1}, definition | late | {"version": 2}])
    insert(
        client,
        "statistics",
        [
            statistic("x", T0_MS, 1.0, **early),
            statistic("x", T0_MS + 400 * DAY_MS, 9.0, **late),
            statistic("late", T0_MS, 9.0, **late),
        ],
    )


@pytest.mark.usefixtures("history")
def test_what_arrived_later_is_in_no_answer(settings: Settings) -> None:
    past = then(settings)
    found = alerts(past)
    assert list(found["alert_id"]) == ["a-1"]
    assert list(found["state"]) == ["firing"]
    assert list(deployments(past)["state"]) == ["active"]
    assert deployments(past)["live_to"].isna().all()
    assert list(live_models(past)["model_id"]) == ["m-1"]
    assert len(deployment_history(past)) == 2
    assert list(models(past)["model_id"]) == ["m-1"]
    assert list(events(past)["event_id"]) == ["e1"]
    assert [row["action_id"] for row in actions(past)] == ["1"]
    assert list(kpis(past)["value"]) == [1.0]
    report = latest_report(past, "app", "table")
    assert report
    assert report["data"] == "old"
    definition = current_mlapp(past, "app")
    assert definition
    assert definition["version"] == 1
    assert [each.name for each in reported_statistics(past, "app")] == ["table", "x"]
    assert reported_span(past, "app") == (T0_MS, T0_MS + 1)
    [line] = statistic_lines(past, "x", mlapp_id="app", points=10).lines
    assert line.maxima == [1.0]
    made = activity(past, "app", predictions="x")
    assert (made.predictions, made.models_produced, made.alerts) == (1.0, 1, {"warning": 1})


@pytest.mark.usefixtures("history")
def test_now_everything_is_known(settings: Settings) -> None:
    assert as_known_at(settings, None) is settings
    assert sorted(alerts(settings)["state"]) == ["firing", "resolved"]
    assert list(live_models(settings)["model_id"]) == ["m-2"]
    assert list(kpis(settings)["value"]) == [2.0]
    assert activity(settings, "app", predictions="x").predictions == 10.0


def test_every_table_whose_rows_say_when_they_arrived_is_filtered(client: Client) -> None:
    with_arrival = client.execute(
        "SELECT table FROM system.columns WHERE database = currentDatabase() AND name = 'ingested_at' "
        "AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
    )
    assert {table for (table,) in with_arrival} - ROLLUPS - OPERATIONAL == set(ARRIVING)
