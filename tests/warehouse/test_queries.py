"""Analysts' questions on a small history whose answers are known."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from parallelm.schemas.records import DeploymentState
from parallelm.warehouse import QueryError, queries
from parallelm.warehouse.queries._frames import Conditions
from tests.warehouse.rows import DAY_MS, T0_MS, alert, deployment, insert, kpi, model, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

T0 = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("zone", [UTC, None])
def test_what_happened_just_after_the_start_is_in_the_range(zone: tzinfo | None) -> None:
    """Reports carry their milliseconds rounded down: those of the start's own came after it."""
    start = datetime(2013, 1, 1, microsecond=345_700, tzinfo=zone)
    assert Conditions().between("event_time", start, None).parameters == {"start": T0_MS + 345}
    assert Conditions().between("event_time", None, start).parameters == {"end": T0_MS + 346}


def day(number: float) -> pd.Timestamp:
    return pd.Timestamp(T0 + timedelta(days=number))


@pytest.fixture
def history(client: Client) -> Client:
    """Model m-1 live on day 1, m-2 from day 5, m-3 requested on day 9; an alert settled by m-2, one not, one open."""
    insert(client, "models_log", [model(f"m-{number}", T0_MS + number * DAY_MS) for number in (1, 2, 3)])
    insert(
        client,
        "deployment_transitions_log",
        [
            deployment("m-1", "requested", T0_MS),
            deployment("m-1", "accepted", T0_MS + DAY_MS, agent_id="host"),
            deployment("m-1", "active", T0_MS + DAY_MS),
            deployment("m-2", "requested", T0_MS + 4 * DAY_MS),
            deployment("m-2", "active", T0_MS + 5 * DAY_MS, related_model_id="m-1"),
            deployment("m-1", "superseded", T0_MS + 5 * DAY_MS, related_model_id="m-2"),
            deployment("m-3", "requested", T0_MS + 9 * DAY_MS),
            # What a processor sends again after a restart changes nothing.
            deployment("m-2", "requested", T0_MS + 4 * DAY_MS),
        ],
    )
    insert(
        client,
        "alert_transitions_log",
        [
            alert("a/1", "pending", T0_MS + 2 * DAY_MS),
            alert("a/1", "firing", T0_MS + 3 * DAY_MS, value=0.2),
            alert("a/1", "acknowledged", T0_MS + 7 * DAY_MS // 2, who="someone"),
            alert("a/1", "resolved", T0_MS + 6 * DAY_MS, value=0.9),
            alert("b/1", "firing", T0_MS + 6 * DAY_MS, started_at=T0_MS + 6 * DAY_MS),
            alert("b/1", "resolved", T0_MS + 7 * DAY_MS),
            alert("c/1", "pending", T0_MS + 7 * DAY_MS),
            alert("c/1", "resolved", T0_MS + 8 * DAY_MS),
            alert("d/1", "firing", T0_MS + 8 * DAY_MS, started_at=T0_MS + 8 * DAY_MS),
            alert("d/1", "resolved", T0_MS + 9 * DAY_MS, transition_id="wrong"),
            alert("d/1", "firing", T0_MS + 9 * DAY_MS, transition_id="right", supersedes="wrong"),
        ],
    )
    return client


@pytest.mark.usefixtures("history")
def test_deployments_say_from_when_to_when_a_model_was_live_and_why(settings: Settings):
    found = queries.deployments(settings, mlapp_id="app").set_index("model_id")
    assert list(found.index) == ["m-1", "m-2", "m-3"]
    assert list(found["state"]) == ["superseded", "active", "requested"]
    assert found.loc["m-1", "live_from"] == day(1)
    assert found.loc["m-1", "live_to"] == day(5)
    assert found.loc["m-1", "accepted_at"] == day(1)
    assert found.loc["m-2", "live_from"] == day(5)
    assert pd.isna(found.loc["m-2", "live_to"])
    assert pd.isna(found.loc["m-3", "live_from"])
    assert found.loc["m-1", "decided_reason"] == "m-1 requested"
    assert found.loc["m-1", "ended_reason"] == "m-1 superseded"
    assert found.loc["m-1", "related_model_id"] == "m-2"
    assert list(queries.deployments(settings, state="active")["model_id"]) == ["m-2"]
    assert queries.deployments(settings, mlapp_id="none").empty


def test_live_models_are_those_of_the_moment(history: Client):
    for at, expected in ((0.5, []), (1, ["m-1"]), (4.9, ["m-1"]), (5, ["m-2"]), (100, ["m-2"])):
        rows = history.execute(f"SELECT model_id FROM live_models(at = '{day(at):%Y-%m-%d %H:%M:%S}')")
        assert [model_id for (model_id,) in rows] == expected, at


@pytest.mark.usefixtures("history")
def test_alerts_say_whether_a_new_model_settled_them(settings: Settings):
    found = queries.alerts(settings, mlapp_id="app").set_index("alert_id")
    assert list(found.index) == ["a/1", "b/1", "d/1"]
    assert list(found["settled_by_model_id"]) == ["m-2", "", ""]
    assert found.loc["a/1", "fired_at"] == day(3)
    assert found.loc["a/1", "resolved_at"] == day(6)
    assert found.loc["a/1", "value"] == 0.2
    assert found.loc["a/1", "acknowledged_by"] == "someone"
    assert found.loc["a/1", "fired_reason"] == "a/1 firing"
    assert found.loc["a/1", "resolved_reason"] == "a/1 resolved"
    assert list(found["state"]) == ["resolved", "resolved", "firing"]
    assert pd.isna(found.loc["d/1", "resolved_at"]), "a transition that a later one corrects does not count"
    assert len(queries.alerts(settings, fired_only=False)) == 4


def test_open_alerts_are_those_of_the_moment(history: Client):
    for at, expected in ((2.5, []), (3, ["a/1"]), (6, ["b/1"]), (7.5, []), (50, ["d/1"])):
        rows = history.execute(f"SELECT alert_id FROM alerts_open(at = '{day(at):%Y-%m-%d %H:%M:%S}')")
        assert [alert_id for (alert_id,) in rows] == expected, at


def test_the_last_deployed_model_is_the_one_requested_last(history: Client, settings: Settings):
    found = queries.last_deployed_model(settings, "app", "predict")
    assert found is not None
    assert (found.model_id, found.deployment_state, found.artifact_url) == ("m-3", "requested", "file:///m-3")
    assert (found.size_bytes, found.sha256, found.annotations) == (10, "ab", {"auc": "0.7"})
    assert found.created_ms == T0_MS + 3 * DAY_MS
    insert(history, "deployment_transitions_log", [deployment("m-3", "failed", T0_MS + 10 * DAY_MS)])
    assert queries.last_deployed_model(settings, "app", "predict").model_id == "m-2"
    assert queries.last_deployed_model(settings, "app", "other") is None


@pytest.mark.parametrize("state", [state.value for state in DeploymentState])
def test_a_component_is_given_what_is_requested_of_it_or_live_and_nothing_else(
    client: Client, settings: Settings, state: str
):
    insert(client, "models_log", [model("old", T0_MS), model("new", T0_MS + DAY_MS)])
    insert(client, "deployment_transitions_log", [deployment("old", "active", T0_MS, attempt=1)])
    insert(client, "deployment_transitions_log", [deployment("new", "requested", T0_MS - DAY_MS, attempt=2)])
    evidence = '{"agents": ["ours"]}' if state == "canary" else "{}"
    last = deployment("new", state, T0_MS + DAY_MS, attempt=2, transition_id="last", evidence_json=evidence)
    insert(client, "deployment_transitions_log", [last])
    found = queries.last_deployed_model(settings, "app", "predict", "ours")
    other = queries.last_deployed_model(settings, "app", "predict", "another")
    assert found is not None
    assert other is not None
    open_states = {"requested", "accepted", "active"}
    overlays = {"pinned", "unpinned", "refused", "deleted"}
    assert found.model_id == ("new" if state in open_states | overlays | {"canary"} else "old")
    assert other.model_id == ("new" if state in open_states | overlays else "old")
    assert (found.policy, found.attempt) == ("always_update", 2 if found.model_id == "new" else 1)
    only = queries.last_deployed_model(settings, "app", "predict", "ours", model_id="old")
    assert only is not None
    assert only.model_id == "old"


def test_a_request_whose_model_is_not_announced_yet_leaves_the_live_one(client: Client, settings: Settings):
    insert(client, "models_log", [model("old", T0_MS)])
    insert(client, "deployment_transitions_log", [deployment("old", "active", T0_MS, attempt=1)])
    insert(client, "deployment_transitions_log", [deployment("new", "requested", T0_MS + DAY_MS, attempt=2)])
    found = queries.last_deployed_model(settings, "app", "predict")
    assert found is not None
    assert found.model_id == "old"


def test_the_library_asks_for_its_model_without_pandas():
    code = (
        "import sys; from parallelm.warehouse.queries import last_deployed_model; "
        "assert not {'pandas', 'scipy', 'statsmodels', 'numpy'} & set(sys.modules), sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("history")
def test_models_show_where_they_are_live(settings: Settings):
    found = queries.models(settings, mlapp_id="app").set_index("model_id")
    assert list(found["live_on"]) == [[], ["predict"], []]
    assert list(
        queries.models(settings, start=T0 + timedelta(days=2), end=T0 + timedelta(days=2)).model_id
    ) == ["m-2"]


def test_statistics_are_filtered_and_keep_their_order(settings: Settings, client: Client):
    insert(
        client,
        "statistics",
        [
            statistic("s", T0_MS + 2000, 3.0, agent_id="a", labels={"line": "x"}, _index=0),
            statistic("s", T0_MS + 1000, 2.0, agent_id="b", model_id="m", _index=0),
            statistic("s", T0_MS, float("nan"), agent_id="a", _index=0),
            statistic("other", T0_MS, 9.0, node_id="train", _index=0),
        ],
    )
    found = queries.statistics(settings, "s", mlapp_id="app")
    assert list(found["value"].fillna(-1)) == [-1.0, 2.0, 3.0]
    assert str(found["event_time"].dtype) == "datetime64[ms, UTC]"
    assert list(queries.statistics(settings, "s", limit=2)["value"]) == [2.0, 3.0]
    assert list(queries.statistics(settings, "s", agent_id="b")["value"]) == [2.0]
    assert list(queries.statistics(settings, "s", labels={"line": "x"})["value"]) == [3.0]
    one_second = T0 + timedelta(seconds=1)
    assert list(queries.statistics(settings, "s", start=one_second, end=one_second)["value"]) == [2.0]
    naive = one_second.replace(tzinfo=None)
    assert list(queries.statistics(settings, "s", start=naive, end=naive)["value"]) == [2.0]
    assert queries.statistics(settings, "it's %(nothing)s").empty
    assert list(queries.statistics(settings, "it's nothing").columns) == list(found.columns)
    with pytest.raises(QueryError, match="after the end"):
        queries.statistics(settings, "s", start=T0 + timedelta(1), end=T0)
    counts = queries.statistic_counts(settings).set_index("name")
    assert (counts.loc["s", "samples"], counts.loc["s", "sum_value"]) == (3, 5.0)


def test_rollups_give_mean_last_and_quantiles(settings: Settings, client: Client):
    insert(client, "statistics", [statistic("s", T0_MS + 600 * number, number) for number in range(101)])
    [row] = queries.statistics_rollup(settings, "1h", "s").to_dict("records")
    assert (row["samples"], row["mean_value"], row["last_value"], row["min_value"]) == (101, 50.0, 100.0, 0.0)
    assert row["p50"] == pytest.approx(50, abs=1)
    assert list(queries.statistics_rollup(settings, "1m", "s")["samples"]) == [100, 1]
    [day] = queries.statistics_rollup(settings, "1d", "s").to_dict("records")
    assert day == {name: row[name] for name in day}  # T0 is midnight
    assert "last_value" not in day
    with pytest.raises(QueryError, match="there are no statistics by '1w'; there are: 1m, 1h, 1d"):
        queries.statistics_rollup(settings, "1w")


def test_quantiles_are_exact_for_the_largest_numbers(settings: Settings, client: Client):
    values = [1e300, 2e300, 3e300]
    insert(client, "statistics", [statistic("s", T0_MS + n, value) for n, value in enumerate(values)])
    [row] = queries.statistics_rollup(settings, "1h", "s").to_dict("records")
    assert (row["p50"], row["p95"]) == (2e300, 3e300)


def test_kpis_are_their_latest_revision(settings: Settings, client: Client):
    insert(
        client,
        "kpis",
        [
            kpi("k", T0_MS, 1.0, labels={"carrier": "UA"}, _index=0),
            kpi("k", T0_MS, 2.0, labels={"carrier": "UA"}, _index=0),
            kpi("k", T0_MS, 7.0, labels={"carrier": "AA"}, _index=0),
        ],
    )
    found = queries.kpis(settings, "k", labels={"carrier": "UA"})
    assert list(found["value"]) == [2.0]
    assert list(found["revisions"]) == [2]
    assert list(queries.kpi_revisions(settings, "k")["value"]) == [7.0, 1.0, 2.0]


@pytest.mark.usefixtures("client")
def test_any_sql_is_answered_with_typed_columns(settings: Settings):
    found = queries.query_frame(
        settings, "SELECT toUInt8(1) AS a, 2.5 AS b, NULL AS c, toDateTime64(0, 3, 'UTC') AS d"
    )
    assert [str(kind) for kind in found.dtypes] == ["uint8", "float64", "object", "datetime64[ms, UTC]"]
    assert queries.query_frame(settings, "SELECT 1 AS a WHERE 0").columns.tolist() == ["a"]
    assert queries.query_frame(settings, "CREATE TABLE IF NOT EXISTS x (a Int8) ENGINE = Memory").empty


@pytest.mark.usefixtures("client")
def test_sql_may_hold_percent_signs_and_times_inside_other_types(settings: Settings):
    found = queries.query_frame(
        settings,
        "SELECT 'a cab' LIKE '%cab%' AS cab, 7 % 4 AS rest, formatDateTime(toDate('2013-02-01'), '%Y %%') AS year,"
        " map('since', toDateTime64('2013-02-01', 3, 'UTC')) AS times",
    )
    assert found.iloc[0].tolist() == [1, 3, "2013 %", {"since": datetime(2013, 2, 1, tzinfo=UTC)}]


def test_a_model_that_is_accepted_after_its_time_out_is_live_from_then(client: Client):
    hour = 3_600_000
    insert(
        client,
        "deployment_transitions_log",
        [
            deployment("late", "requested", T0_MS, mlapp_id="late", attempt=1),
            deployment("late", "failed", T0_MS + hour, mlapp_id="late", attempt=1),
            deployment("late", "accepted", T0_MS + hour + 5, mlapp_id="late", attempt=1),
            deployment("late", "active", T0_MS + hour + 5, mlapp_id="late", attempt=1),
        ],
    )
    live = client.execute(
        "SELECT model_id, state, live_to FROM live_models(at = %(at)s) WHERE mlapp_id = 'late'",
        {"at": datetime.fromtimestamp((T0_MS + 2 * hour) / 1000, UTC)},
    )
    assert live == [("late", "active", None)]


def test_of_deployments_that_overlap_the_later_attempt_is_live_and_answers_change_nothing(
    client: Client, settings: Settings
):
    """A roll-back to an earlier model is a new deployment of it; event times of agents may disagree."""

    def step(model_id: str, attempt: int, state: str, at_s: int, **more: Any) -> dict[str, Any]:
        name = f"{model_id}/{attempt}"
        return deployment(
            model_id, state, T0_MS + at_s * 1000, mlapp_id="again", attempt=attempt, deployment_id=name,
            transition_id=f"{name}/{state}", **more,
        )  # fmt: skip

    rows = [
        step("m-1", 1, "requested", 0), step("m-1", 1, "active", 10),
        step("m-2", 2, "requested", 20), step("m-2", 2, "active", 30), step("m-1", 1, "superseded", 30),
        step("m-2", 2, "rolled_back", 40, who="anna"), step("m-1", 3, "requested", 40, who="anna"),
        step("m-1", 0, "pinned", 45), step("m-2", 0, "refused", 46), step("m-1", 3, "active", 50),
    ]  # fmt: skip
    insert(client, "deployment_transitions_log", rows)

    def live(at_s: int) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = client.execute(
            "SELECT model_id, attempt FROM live_models(at = %(at)s) WHERE mlapp_id = 'again'",
            {"at": datetime.fromtimestamp(T0_MS / 1000 + at_s, UTC)},
        )
        return found

    assert [live(at_s) for at_s in (15, 35, 45, 55)] == [[("m-1", 1)], [("m-2", 2)], [], [("m-1", 3)]]
    found = queries.deployments(settings, mlapp_id="again")
    assert list(found["attempt"]) == [1, 2, 3]
    assert list(found["state"]) == ["superseded", "rolled_back", "active"]
    assert list(found["ended_by"]) == ["", "anna", ""]


def test_a_topic_that_was_made_again_lends_no_record_to_a_decision_before_it(
    settings: Settings, client: Client
) -> None:
    place = {"_topic": "mlops.models", "_offset": 7}
    then, again = ({"_topic_id": f"topic-{n}", "ingested_at": T0_MS + n * DAY_MS} for n in (1, 5))
    insert(
        client, "models_log", [model("m-1", T0_MS, **place, **then), model("m-9", T0_MS, **place, **again)]
    )
    caused = {"cause_topic": "mlops.models", "cause_partition": 0, "cause_offset": 7}
    insert(
        client,
        "deployment_transitions_log",
        [
            # Brokers' clocks differ by some seconds.
            deployment(name, "requested", T0_MS, ingested_at=T0_MS + n * DAY_MS - 2_000, **caused)
            for name, n in (("m-1", 1), ("m-5", 4), ("m-9", 5))
        ],
    )
    found = client.execute("SELECT model_id, cause FROM decisions_and_causes ORDER BY model_id")
    first, second = "model classifier (m-1) announced", "model classifier (m-9) announced"
    assert found == [("m-1", first), ("m-5", first), ("m-9", second)]
    for came_by_ms, name in ((T0_MS + 4 * DAY_MS, "m-1"), (None, "m-9")):
        rows = queries.rows_of_record(settings, "mlops.models", 0, 7, came_by_ms=came_by_ms)
        assert [row["model_id"] for row in rows] == [name]
