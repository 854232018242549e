"""Runs, logs and agents over REST."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections import save_settings
from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.schemas import topics
from parallelm.schemas.records import RunState
from parallelm.server.access.matrix import OPERATOR, VIEWER
from tests.people import person
from tests.server.commands import Commands
from tests.server.run_records import FAILED, LINES, MODEL, SERVING, WAITING, lines_of, send, transition
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from parallelm.connections import Settings

API = "/api/v1"
OF_PAGES = ("11ve", "fa57", "1a7e")
"""What runs that tests of pages report begin with."""


def get(client: httpx.Client, path: str, **asked: Any) -> Any:
    answer = client.get(f"{API}{path}", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_runs_are_listed_filtered_and_paged(client: httpx.Client, nightly: str):
    everything = get(client, "/runs", mlapp_id=nightly)["items"]
    found = [row for row in everything if not row["run_id"].startswith(OF_PAGES)]
    assert len(found) == 14
    assert found[0]["run_id"] == WAITING
    assert found[0]["reason"].startswith("no agent has the labels gpu=yes")
    (failed,) = get(client, "/runs", mlapp_id=nightly, node_id="train", state="failed")["items"]
    assert (failed["run_id"], failed["exit_code"], failed["agent_id"]) == (FAILED, 1, "gpu-1")
    assert (failed["has_ended"], failed["duration_ms"]) == (True, 239_100)
    (missed,) = get(client, "/runs", mlapp_id=nightly, state="missed")["items"]
    assert (missed["started_at"], missed["agent_id"]) == (None, "")
    (serving,) = get(client, "/runs", mlapp_id=nightly, node_id="serve", has_ended=False)["items"]
    assert (serving["state"], serving["model_id"], serving["trigger"]) == ("running", MODEL, "service")
    assert {row["node_id"] for row in get(client, "/runs", agent_id="gpu-1")["items"]} == {"train"}
    first = get(client, "/runs", mlapp_id=nightly, limit=10)
    rest = get(client, "/runs", mlapp_id=nightly, limit=10, cursor=first["next_cursor"])
    assert first["items"] + rest["items"] == everything
    assert rest["next_cursor"] is None
    day = datetime.now(UTC) - timedelta(days=30)
    assert get(client, "/runs", mlapp_id=nightly, to=day.isoformat())["items"] == []


def test_a_run_is_told_with_its_transitions_and_models(client: httpx.Client, nightly: str):
    run = get(client, f"/mlapps/{nightly}/runs/{FAILED[:8]}")
    assert run["run_id"] == FAILED
    steps = get(client, f"/mlapps/{nightly}/runs/{FAILED}/transitions")
    assert [each["state"] for each in steps] == ["waiting", "assigned", "running", "failed"]
    models = get(client, f"/mlapps/{nightly}/pipeline-models")
    assert [(each["role"], each["node_id"], each["model_id"]) for each in models] == [
        ("produced", "train", MODEL),
        ("consumed", "serve", MODEL),
    ]
    assert models[0]["run_id"] == "67a10000000006"
    for unknown in (f"/mlapps/{nightly}/runs/none", f"/mlapps/churn/runs/{FAILED}"):
        assert client.get(f"{API}{unknown}").status_code == 404


def test_lines_are_read_back_and_forth_and_searched(client: httpx.Client, nightly: str):
    path = f"/mlapps/{nightly}/runs/{SERVING}/logs"
    last = get(client, path, limit=3)
    assert [each["line"] for each in last["lines"]] == [LINES - 2, LINES - 1, LINES]
    assert (last["next_place"], last["is_complete"]) == (f"1.{LINES}", False)
    before = get(client, path, limit=2, before=f"1.{LINES - 2}")
    assert [each["line"] for each in before["lines"]] == [LINES - 4, LINES - 3]
    first = get(client, path, after="0.0", limit=2)
    assert [each["line"] for each in first["lines"]] == [1, 2]
    assert [each["line"] for each in get(client, path, search="<B>ANSWERS")["lines"]] == [LINES]
    (error,) = get(client, f"/mlapps/{nightly}/logs", search="valueerror")
    assert (error["run_id"], error["stream"], error["line"]) == (FAILED, "stderr", 3)
    assert (
        get(client, f"/mlapps/{nightly}/runs/{FAILED}/logs", stream="stdout")["lines"][0]["text"]
        == "epoch 1: loss 0.71"
    )
    assert client.get(f"{API}{path}", params={"after": "last"}).status_code == 422


def test_a_log_is_followed_while_it_is_written(client: httpx.Client, platform: Settings, nightly: str):
    assert nightly
    now_ms = time.time_ns() // 1_000_000
    run_id = "f0110000000000"
    send(
        platform,
        (topics.RUNS, transition(run_id, "serve", RunState.RUNNING, now_ms - 60_000, agent_id="web-1")),
    )
    path = f"/mlapps/{nightly}/runs/{run_id}/logs"
    while client.get(f"{API}{path}").status_code == 404:
        time.sleep(0.1)
    beginning = get(client, path)
    assert beginning["lines"] == []
    writing = threading.Timer(
        0.5, send, (platform, (topics.LOGS, lines_of(run_id, "serve", 1, ["late"], now_ms)))
    )
    writing.start()
    found = get(client, path, after=beginning["next_place"], wait_s=30)
    writing.join()
    assert [each["text"] for each in found["lines"]] == ["late"]
    ended = transition(run_id, "serve", RunState.STOPPED, now_ms - 30_000, agent_id="web-1", due_at_ms=now_ms)
    send(platform, (topics.RUNS, ended))
    at = time.monotonic()
    rest = get(client, path, after=found["next_place"], wait_s=30)
    assert (rest["lines"], rest["is_complete"]) == ([], True)
    assert time.monotonic() - at < 25, "nobody waits for lines of a run that has ended"


def test_who_waits_for_lines_too_often_is_told_and_holds_up_nobody(
    client: httpx.Client, platform: Settings, nightly: str
):
    now_ms = time.time_ns() // 1_000_000
    run_id = "f0220000000000"
    send(platform, (topics.RUNS, transition(run_id, "serve", RunState.RUNNING, now_ms, agent_id="web-1")))
    path = f"{API}/mlapps/{nightly}/runs/{run_id}/logs"
    while client.get(path).status_code == 404:
        time.sleep(0.1)
    with ThreadPoolExecutor(6) as threads:
        asked = [
            threads.submit(client.get, path, params={"after": "0.0", "wait_s": 30}, timeout=60)
            for _ in range(6)
        ]
        refused, others = wait(asked, return_when=FIRST_COMPLETED)
        (answer,) = (each.result() for each in refused)
        assert answer.status_code == 429
        assert "5 requests of yours wait for lines of logs already: ask again later" in answer.text
        assert client.get(path, params={"after": "0.0"}).status_code == 200, "who does not wait is answered"
        send(platform, (topics.LOGS, lines_of(run_id, "serve", 1, ["at last"], now_ms)))
        assert [each.result().json()["lines"][0]["text"] for each in others] == ["at last"] * 5
    assert client.get(path, params={"after": "1.1", "wait_s": 0.1}).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/alerts?after=99999999999999|drift|a", "/alerts?after=-99999999999999|drift|a",
        "/models?after=99999999999999|m", "/audit?after=99999999999999|0|0",
        "/mlapps/{mlapp}/runs?after=99999999999999|r",
        "/mlapps/{mlapp}/runs?after=-9999999999999|r", "/schedule?week=0001-01-01", "/schedule?week=9999-12-31",
        "/mlapps/{mlapp}/kpis/revisions?name=k&at_ms=99999999999999999999",
    ],
)  # fmt: skip
def test_a_page_says_that_an_address_names_no_moment(client: httpx.Client, nightly: str, address: str):
    answer = client.get(address.format(mlapp=nightly))
    assert answer.status_code == 422
    assert "it must be between 1900-01-01 and 2299-01-01" in answer.text


def test_the_schedule_says_when_nodes_are_due(client: httpx.Client, nightly: str):
    (train,) = get(client, "/schedule", mlapp_id=nightly, **{"from": "2027-01-01", "to": "2027-01-03"})[
        "items"
    ]
    assert (train["node_id"], train["cron"], train["is_cut"]) == ("train", "0 2 * * *", False)
    assert train["due_at"] == ["2027-01-01T02:00:00.000Z", "2027-01-02T02:00:00.000Z"]


def test_a_command_lists_when_nodes_are_due(platform: Settings, nightly: str, tmp_path: Path):
    save_settings(platform, tmp_path / "mcenter.toml")
    due = ("runs", "due", "--mlapp", nightly, "--from", "2027-01-01")
    said = Commands(tmp_path)(*due, "--to", "2027-01-03", "--format", "json")
    assert [each["node_id"] for each in json.loads(said)] == ["train", "train"]
    assert "at most 366 days" in Commands(tmp_path)(*due, "--to", "2029-01-01", exit_code=2)


def test_a_schedule_is_told_in_pages_and_for_a_bounded_time(client: httpx.Client, platform: Settings):
    node = '{{id: n{0}, type: auxiliary, schedule: {{cron: "*/5 * * * *"}}, steps: [{{command: "true"}}]}}'
    nodes = ", ".join(node.format(number) for number in range(3))
    text = f"mlapp: clockwork\nnodes: [{nodes}]\n"
    apply_definition(platform, validate_definition(text.encode(), "clockwork.yaml"), who=person("ada"))
    wait_for(lambda: client.get(f"{API}/mlapps/clockwork").status_code == 200, "it is not known")
    year = {"from": "2027-01-01", "to": "2028-01-01"}
    first = get(client, "/schedule", mlapp_id="clockwork", limit=2, **year)
    assert [(each["node_id"], each["is_cut"], len(each["due_at"])) for each in first["items"]] == [
        ("n0", True, 2000),
        ("n1", True, 2000),
    ]
    rest = get(client, "/schedule", mlapp_id="clockwork", limit=2, cursor=first["next_cursor"], **year)
    assert ([each["node_id"] for each in rest["items"]], rest["next_cursor"]) == (["n2"], None)
    many = get(client, "/schedule", mlapp_id="clockwork", limit=1000, **year)["items"]
    assert [len(each["due_at"]) for each in many] == [50] * 3
    answer = client.get(f"{API}/schedule", params={"from": "2027-01-01", "to": "2028-01-03"})
    assert (answer.status_code, "366 days" in answer.text) == (422, True)


def test_agents_are_told_with_what_runs_there(
    client: httpx.Client, client_with: Callable[[str, str], httpx.Client], nightly: str
):
    found = {each["agent_id"]: each for each in get(client, "/agents")}
    assert (found["gpu-1"]["state"], found["gpu-1"]["labels"]["gpu"]) == ("draining", "yes")
    (serving,) = found["web-1"]["pipelines"]
    assert (serving["mlapp_id"], serving["run_id"], serving["pid"]) == (nightly, SERVING, 4711)
    assert get(client, "/agents/web-1")["memory_bytes"] == 16 << 30
    stranger = client_with(VIEWER, "churn")
    assert get(stranger, "/agents") == []
    assert stranger.get(f"{API}/agents/web-1").status_code == 404
    assert get(client_with(VIEWER, nightly), "/agents/web-1")["pipelines"] == [serving]
    assert stranger.get(f"{API}/mlapps/{nightly}/runs/{SERVING}/logs").status_code in {403, 404}
    assert get(stranger, "/runs")["items"] == []


@pytest.mark.parametrize(
    "path", ["launch", "pause", "resume", "stop", "nodes/train/run", f"runs/{SERVING}/stop"]
)
def test_who_may_only_look_starts_and_stops_nothing(
    client_as: Callable[[str], httpx.Client], nightly: str, path: str
):
    answer = client_as(VIEWER).post(f"{API}/mlapps/{nightly}/{path}", json={})
    assert answer.status_code == 403
    unknown = client_as(OPERATOR).post(f"{API}/mlapps/none-such/{path}", json={})
    assert unknown.status_code == 404
