"""Questions about runs, the lines that programs wrote, and agents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from parallelm.schemas.well_known import HOSTS_MLAPP
from parallelm.warehouse import queries
from parallelm.warehouse.queries.node_runs import (
    node_ends,
    open_runs_by_node,
    runs_span,
    scheduled_nodes,
    scheduled_runs,
)
from tests.warehouse.rows import T0_MS, deployment, insert, model, run, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

T0 = datetime(2013, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000


def moment(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def step(run_id: str, state: str, minutes: float, due: float = 0, **more: Any) -> dict[str, Any]:
    return run(
        run_id, state, T0_MS + round(minutes * MINUTE_MS), due_at=T0_MS + round(due * MINUTE_MS), **more
    )


@pytest.fixture
def history(client: Client) -> Client:
    """A run that succeeds, one that is retried elsewhere, one that goes on, one that waits, one that was missed."""
    serving = {"node_id": "predict", "model_id": "m-1", "trigger": "service"}
    steps = [
        step("r-1", "waiting", 0),
        step("r-1", "assigned", 0.1),
        step("r-1", "running", 1, starts=1),
        step("r-1", "succeeded", 3, starts=1),
        step("r-2", "waiting", 10, 10),
        step("r-2", "running", 11, 10, starts=1),
        step("r-2", "waiting", 12, 10, attempt=2, reason="exit code 1; tried again in 30 s"),
        step("r-2", "running", 13, 10, attempt=2, starts=2, agent_id="host-2"),
        step("r-2", "failed", 14, 10, attempt=2, starts=2, agent_id="host-2", exit_code=3),
        step("s-1", "running", 5, 5, **serving),
        step("w-1", "waiting", 20, 20, reason="no agent has gpu=yes"),
        step("x-1", "missed", 30, 25, agent_id="", reason="the control plane was away"),
        # Sent again after a restart.
        step("r-1", "running", 1, starts=1),
        # Answers to people, of which none is a run.
        step("", "launched", 0, node_id="", who="ada"),
        step("", "paused", 40, node_id="", who="bob", reason="repairs"),
        step("r-1", "refused", 41, transition_id="no", reason="it has ended"),
    ]
    insert(client, "run_transitions_log", steps)
    return client


@pytest.mark.usefixtures("history")
def test_a_run_is_one_row_with_its_times_its_agent_and_its_reason(settings: Settings):
    found = queries.runs(settings, mlapp_id="app").set_index("run_id")
    assert list(found.index) == ["r-1", "s-1", "r-2", "w-1", "x-1"]
    assert list(found["state"]) == ["succeeded", "running", "failed", "waiting", "missed"]
    one, retried = found.loc["r-1"], found.loc["r-2"]
    assert (one["due_at"], one["started_at"], one["ended_at"]) == (moment(0), moment(1), moment(3))
    assert (one["duration_ms"], one["agent_id"], one["attempt"]) == (2 * MINUTE_MS, "host-1", 1)
    assert (retried["attempt"], retried["starts"], retried["agent_id"]) == (2, 2, "host-2")
    assert (retried["exit_code"], retried["started_at"], retried["reason"]) == (3, moment(11), "r-2 failed")
    assert pd.isna(found.loc["s-1", "ended_at"])
    assert pd.isna(found.loc["x-1", "started_at"])
    assert found.loc["w-1", "reason"] == "no agent has gpu=yes"


SELECTED: list[tuple[dict[str, Any], list[str]]] = [
    ({"start": moment(4), "end": moment(10)}, ["s-1"]),
    ({"start": moment(3), "end": moment(10.1)}, ["r-1", "s-1", "r-2"]),
    ({"start": moment(100)}, ["s-1", "w-1"]),
    ({"end": moment(5)}, ["r-1"]),
    ({"state": ("failed", "missed")}, ["r-2", "x-1"]),
    ({"agent_id": "host-1"}, ["r-1", "s-1"]),
    ({"node_id": "predict"}, ["s-1"]),
    ({"has_ended": False}, ["s-1", "w-1"]),
    ({"mlapp_id": "other"}, []),
    ({"run_id": "r-2"}, ["r-2"]),
    ({"trigger": "service"}, ["s-1"]),
]


@pytest.mark.usefixtures("history")
def test_runs_are_selected(settings: Settings):
    for chosen, expected in SELECTED:
        assert list(queries.runs(settings, **chosen)["run_id"]) == expected, chosen
        assert [row["run_id"] for row in queries.run_rows(settings, **chosen)] == expected


@pytest.mark.usefixtures("history")
def test_pages_of_runs_join(settings: Settings):
    order = ("due_at", "run_id")
    first = queries.runs(settings, page=queries.Keyset(order=order, descending=True, limit=2))
    assert list(first["run_id"]) == ["x-1", "w-1"]
    after = (first["due_at"].iloc[-1], "w-1")
    rest = queries.runs(settings, page=queries.Keyset(order=order, descending=True, after=after))
    assert list(rest["run_id"]) == ["r-2", "s-1", "r-1"]


@pytest.mark.usefixtures("history")
def test_a_page_of_runs_in_a_state_has_those_that_are_in_it_now(settings: Settings):
    newest = queries.Keyset(order=("due_at", "run_id"), descending=True, limit=1)
    for chosen, expected in (
        ({"state": "running"}, ["s-1"]),
        ({"state": "succeeded"}, ["r-1"]),
        ({"agent_id": "host-2"}, ["r-2"]),
        ({"agent_id": ["host-1", "host-2"], "has_ended": True}, ["r-2"]),
        ({"end": moment(21), "has_ended": False}, ["w-1"]),
    ):
        assert list(queries.runs(settings, **chosen, page=newest)["run_id"]) == expected, chosen


@pytest.mark.usefixtures("history")
def test_a_node_tells_what_goes_on_and_how_its_last_run_ended(settings: Settings):
    assert [(row["node_id"], row["state"], row["runs"]) for row in open_runs_by_node(settings, "app")] == [
        ("predict", "running", 1),
        ("train", "waiting", 1),
    ]
    assert node_ends(settings, "app") == {"train": "missed"}
    assert runs_span(settings, "app") == (T0_MS, T0_MS + 41 * MINUTE_MS + 1)
    assert runs_span(settings, "other") is None


@pytest.mark.usefixtures("history")
def test_runs_of_schedules_are_counted_by_day_of_which_the_first_are_told(settings: Settings):
    bounds = [T0_MS + minutes * MINUTE_MS for minutes in (0, 15, 22, 60)]
    assert scheduled_nodes(settings, bounds[0], bounds[-1]) == [("app", "train")]
    assert scheduled_nodes(settings, bounds[-1], bounds[-1] + 1, mlapp_id="app") == []
    found = scheduled_runs(settings, [("app", "train")], bounds, most=1)
    assert [(row["run_id"], row["state"], row["of_day"]) for row in found] == [
        ("r-1", "succeeded", 2),
        ("w-1", "waiting", 1),
        ("x-1", "missed", 1),
    ]
    assert scheduled_runs(settings, [], bounds, most=1) == []


@pytest.mark.usefixtures("history")
def test_the_transitions_of_a_run_come_once_each_with_the_answers_to_people(settings: Settings):
    found = queries.run_transitions(settings, mlapp_id="app", run_id="r-1")
    assert list(found["state"]) == ["waiting", "assigned", "running", "succeeded", "refused"]


@pytest.mark.usefixtures("history")
def test_the_life_of_an_mlapp_is_what_people_did_last(settings: Settings):
    assert queries.mlapp_life(settings)["app"]["state"] == "paused"
    assert queries.mlapp_life(settings, "app")["app"] | {"event_time": 0} == {
        "state": "paused",
        "reason": "repairs",
        "who": "bob",
        "event_time": 0,
    }
    assert queries.mlapp_life(settings, "other") == {}


def test_models_are_produced_and_consumed_by_runs(settings: Settings, history: Client):
    insert(
        history,
        "models_log",
        [
            model("m-1", T0_MS + 2 * MINUTE_MS, agent_id="host-1"),
            model("m-2", T0_MS + 50 * MINUTE_MS, agent_id="host-1"),
        ],
    )
    insert(
        history,
        "deployment_transitions_log",
        [
            deployment("m-2", "active", T0_MS + 51 * MINUTE_MS),
            deployment("m-2", "accepted", T0_MS + 51 * MINUTE_MS, agent_id="host-9"),
            deployment("m-1", "active", T0_MS + 4 * MINUTE_MS),
        ],
    )
    found = queries.models_of_pipelines(settings, "app")
    assert [
        (row["role"], row["node_id"], row["agent_id"], row["run_id"], row["model_id"]) for row in found
    ] == [
        ("produced", "train", "host-1", "r-1", "m-1"),
        ("consumed", "predict", "host-1", "s-1", "m-1"),
        ("produced", "train", "host-1", "", "m-2"),
        ("consumed", "predict", "host-9", "", "m-2"),
    ]
    assert [row["name"] for row in found] == ["classifier"] * 4
    assert [row["model_id"] for row in queries.models_of_pipelines(settings, "app", run_id="s-1")] == ["m-1"]
    assert len(queries.models_of_pipelines(settings, "app", node_id="train")) == 2


def line(number: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "mlapp_id": "app",
        "node_id": "train",
        "run_id": "r-1",
        "attempt": 1,
        "line": number,
        "event_time": T0_MS + number,
        "stream": "stdout",
        "text": text,
    } | more


def numbers(lines: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(each["attempt"], each["line"]) for each in lines]


def test_lines_are_read_from_the_end_and_from_a_place(settings: Settings, client: Client):
    written = [line(number, f"epoch {number}") for number in range(1, 8)]
    again = [line(1, "other attempt", attempt=2), line(2, "end", attempt=2, stream="stderr", dropped=5)]
    # The agent was not sure that a batch had arrived.
    for rows in (written, written[3:], again, [line(1, "of another", run_id="r-2")]):
        insert(client, "logs", rows)
    of = {"mlapp_id": "app", "run_id": "r-1"}
    assert numbers(queries.log_lines(settings, **of, limit=3)) == [(1, 7), (2, 1), (2, 2)]
    assert numbers(queries.log_lines(settings, **of, before=(1, 3))) == [(1, 1), (1, 2)]
    assert numbers(queries.log_lines(settings, **of, after=(1, 6), limit=2)) == [(1, 7), (2, 1)]
    assert numbers(queries.log_lines(settings, **of, after=(2, 2))) == []
    assert numbers(queries.log_lines(settings, **of, attempt=2, stream="stderr")) == [(2, 2)]
    assert numbers(queries.log_lines(settings, **of, start=moment(0), end=T0 + timedelta(milliseconds=3))) == [
        (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip
    assert queries.log_sizes(settings, "app", ["r-1", "r-2", "r-3"]) == {"r-1": (9, 5), "r-2": (1, 0)}


FOUND = {
    "ERROR": [2, 3], "100%": [1], "100": [1, 4], "a_b": [4], "\\": [5], "ÄRGER": [5], "x": [],
}  # fmt: skip


def test_lines_are_found_by_any_text_in_whatever_case(settings: Settings, client: Client):
    texts = ["done 100%", "an Error", "ERRORS: 2", "100 a_b acb", "ärger in C:\\temp"]
    insert(client, "logs", [line(number, text) for number, text in enumerate(texts, 1)])
    of = {"mlapp_id": "app", "run_id": "r-1"}
    for search, expected in FOUND.items():
        assert [each for _, each in numbers(queries.log_lines(settings, **of, search=search))] == expected, (
            search
        )
        found = queries.search_logs(settings, search, mlapp_id="app", node_id="train")
        assert [each["line"] for each in found] == expected[::-1]
    assert queries.search_logs(settings, "error", mlapp_id="other") == []


def test_the_index_spares_most_of_a_long_log(client: Client):
    client.execute(
        "INSERT INTO logs (mlapp_id, run_id, attempt, line, text, ingested_at)"
        " SELECT 'app', 'r', 1, number, if(number = 150000, 'a Needle', concat('row ', toString(number))), now64(3)"
        " FROM numbers(200000)"
    )
    explained = client.execute(
        "EXPLAIN indexes = 1 SELECT * FROM logs WHERE mlapp_id = 'app' AND lowerUTF8(text) LIKE '%needle%'"
    )
    text = "\n".join(row for (row,) in explained)
    assert "Granules: 1/" in text[text.index("text_parts") :], text


def test_agents_are_told_with_their_pipelines_and_when_they_were_last_heard_of(
    settings: Settings, client: Client
):
    running = {
        "pipelines.mlapp_id": ["app"],
        "pipelines.node_id": ["train"],
        "pipelines.pipeline_instance_id": ["i"],
        "pipelines.state": ["running"],
        "pipelines.pid": [7],
        "pipelines.since": [T0],
        "pipelines.message": [""],
        "pipelines.run_id": ["r-1"],
        "pipelines.attempt": [1],
    }
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    early = {"ingested_at": now_ms - 3_600_000}
    insert(
        client,
        "agents",
        [
            {"agent_id": "host-1", "hostname": "one.example", "state": "ready", "event_time": T0_MS}
            | running
            | early,
            {"agent_id": "host-2", "hostname": "two", "state": "draining", "event_time": T0_MS} | early,
            {"agent_id": "gone", "is_deleted": True, "event_time": T0_MS},
        ],
    )
    insert(client, "statistics", [statistic("cpu", T0_MS, 1.0, agent_id="host-1") | {"ingested_at": now_ms}])
    one, two = queries.agent_states(settings)
    assert (one["agent_id"], one["hostname"], two["state"]) == ("host-1", "one.example", "draining")
    assert one["pipelines"] == [{
        "mlapp_id": "app", "node_id": "train", "pipeline_instance_id": "i", "state": "running", "pid": 7, "since": T0,
        "message": "", "run_id": "r-1", "attempt": 1,
    }]  # fmt: skip
    assert two["pipelines"] == []
    assert (one["heard_at"] - two["heard_at"]).total_seconds() == 3600
    assert [each["agent_id"] for each in queries.agent_states(settings, agent_id="host-2")] == ["host-2"]


def test_an_agent_whose_host_has_fallen_silent_is_told_apart(settings: Settings, client: Client):
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    long_ago = {"ingested_at": now_ms - 3_600_000}
    agents = [
        {"agent_id": name, "hostname": f"{name}.example", "state": state, "event_time": T0_MS} | long_ago
        for name, state in (("gone", "ready"), ("here", "ready"), ("over", "ended"), ("quiet", "ready"))
    ]
    insert(client, "agents", agents)
    loads = [
        statistic("host.cpu_percent", T0_MS, 1.0, mlapp_id=HOSTS_MLAPP, agent_id=name)
        | {"ingested_at": at_ms}
        for name, at_ms in (("gone", now_ms - 120_000), ("here", now_ms), ("over", now_ms - 120_000))
    ]
    insert(client, "statistics", loads)
    # Its pipelines still report: that says nothing of the agent.
    insert(client, "statistics", [statistic("loss", T0_MS, 1.0, agent_id="gone") | {"ingested_at": now_ms}])
    found = {each["agent_id"]: each["condition"] for each in queries.agent_states(settings)}
    assert found == {"gone": "silent", "here": "ready", "over": "ended", "quiet": "ready"}

    def ids(**chosen: Any) -> list[str]:
        return [each["agent_id"] for each in queries.agent_states(settings, **chosen)]

    assert ids(condition="silent") == ["gone"]
    assert ids(search="OVER.ex") == ["over"]
    assert ids(after="gone", limit=2) == ["here", "over"]
