"""What operators and auditors ask over REST, and dead letters that they answer."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from parallelm.connections import save_settings
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import EVENTS
from parallelm.supervision.state import ProcessState, SupervisorState, save_state
from tests.server.commands import Commands
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    import pytest

    from parallelm.connections import Settings


def test_lag_delays_and_retention_are_told(client: httpx.Client, platform: Settings):
    groups = client.get("/api/v1/operations/lag").json()
    assert {each["group"].removeprefix(platform.kafka.topic_prefix) for each in groups} >= {
        "sink",
        "processors",
    }
    assert {"statistics", "alert_transitions_log"} <= {
        each["table_name"] for each in client.get("/api/v1/operations/ingestion").json()
    }
    kept = {each["table"]: each["wanted_days"] for each in client.get("/api/v1/operations/retention").json()}
    assert kept["agents"] == 365


def test_processes_are_told_with_their_hosts_and_of_a_local_stack_with_their_state(
    client: httpx.Client, platform: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_settings(platform, tmp_path / "mcenter.toml")
    (tmp_path / "run").mkdir()
    services = [
        ProcessState("prepare", "", condition="done"),
        ProcessState("sink", "", condition="ready", pid=os.getpid(), started_at=1_780_000_000.0, restarts=2),
        ProcessState("server", "127.0.0.1:3456", condition="waiting", last_error="it ended with exit code 1"),
    ]
    save_state(SupervisorState(os.getpid(), 1.0, services), tmp_path / "run" / "state.json")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    told = client.get("/api/v1/operations/processes").json()
    members = [each for each in told["consumers"] if each["group"].endswith("sink")]
    assert members
    assert all(each["host"] == "127.0.0.1" and each["partitions"] > 0 for each in members)
    sink, server = told["services"]
    assert (sink["name"], sink["state"], sink["pid"], sink["restarts"]) == ("sink", "ready", os.getpid(), 2)
    assert sink["since"] == "2026-05-28T20:26:40.000Z"
    assert (server["pid"], server["last_error"]) == (None, "it ended with exit code 1")
    commands = Commands(tmp_path)
    listed = json.loads(commands("lag", "--members", "--format", "json"))
    assert [each["client_id"] for each in listed if each["group"].endswith("sink")] == [
        each["client_id"] for each in members
    ]
    assert "sink" in commands("lag")
    assert "statistics" in commands("warehouse", "delays", "--hours", "24")
    page = client.get("/operations/processes", headers={"Accept": "text/html"}).text
    assert "it ended with exit code 1" in page
    assert members[0]["client_id"] in page


def test_a_dead_letter_is_shown_sent_again_and_dropped(client: httpx.Client, platform: Settings):
    topic = EVENTS.full_name(platform.kafka.topic_prefix)
    TopicWriter(platform).write([OutgoingRecord(topic, "app", b"no event")])

    def found() -> list[dict[str, str]]:
        return client.get("/api/v1/dead-letters", params={"topic": "events"}).json()["items"]  # type: ignore[no-any-return]

    # The sink and the processors give up on it, each for itself.
    wait_for(lambda: len(found()) == 2, lambda: str(found()))
    letter = client.get(f"/api/v1/dead-letters/{found()[0]['letter_id']}").json()
    assert (letter["record"], letter["size_bytes"]) == (None, 11)
    assert letter["decode_error"]
    first = {each["letter_id"] for each in found()}
    sent = client.post("/api/v1/dead-letters/replay", json={"topic": "events", "comment": "mended"})
    assert sent.json() == {"dry_run": False, "count": 2, "letter_ids": [], "left_out": []}
    # They still cannot be read: new letters.
    wait_for(lambda: len({each["letter_id"] for each in found()} - first) == 2, lambda: str(found()))
    ids = [each["letter_id"] for each in found() if each["letter_id"] not in first]
    dropped = client.post("/api/v1/dead-letters/drop", json={"letter_ids": ids, "comment": "from a test"})
    assert dropped.json()["count"] == 2
    wait_for(lambda: found() == [], lambda: str(found()))
    unknown = client.get("/api/v1/dead-letters/none")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:mcenter:problem:unknown-dead-letter")
    log = client.get("/api/v1/actions", params={"action": "drop_dead_letter", "who": "ada"}).json()["items"]
    assert {each["target"] for each in log if each["comment"] == "from a test"} == set(ids)


def test_sql_is_answered_as_the_user_that_reads_and_no_further_than_its_bound(client: httpx.Client):
    def ask(sql: str) -> httpx.Response:
        return client.post("/api/v1/query", json={"sql": sql})

    assert ask("SELECT mlapp_id, version AS v FROM mlapps_current WHERE mlapp_id = 'churn'").json() == {
        "columns": ["mlapp_id", "v"], "rows": [["churn", 1]], "is_cut": False,
    }  # fmt: skip
    many = ask("SELECT number FROM numbers(1000000)").json()
    assert (len(many["rows"]), many["is_cut"]) == (10_000, True)
    for sql in ("DROP TABLE statistics", "nonsense", "0", "INSERT INTO events VALUES"):
        answer = ask(sql)
        assert answer.status_code == 422, sql
        assert "Stack trace" not in answer.text


def test_who_may_read_all_mlapps_gets_the_reading_user_with_the_profile(
    client: httpx.Client, platform: Settings
):
    profile = client.get("/api/v1/connection-profile")
    assert profile.headers["Cache-Control"] == "no-store"
    assert profile.json()["kafka"]["bootstrap_servers"] == platform.kafka.bootstrap_servers
    assert profile.json()["clickhouse"]["user"] == platform.clickhouse.user


def test_a_capture_is_taken_followed_downloaded_and_deleted(client: httpx.Client):
    path = "/api/v1/mlapps/churn/captures"
    made = client.post(path, json={"from": "2026-05-01", "to": "2026-05-10", "name": "may"})
    assert made.status_code == 202, made.text
    own = f"{path}/{made.json()['capture_id']}"
    wait_for(lambda: client.get(own).json()["state"] == "complete", lambda: client.get(own).text)
    assert client.get(own).json()["rows"]
    file = client.get(f"{own}/file")
    assert hashlib.sha256(file.content).hexdigest() == client.get(own).json()["sha256"]
    assert client.get(path).json()["items"][0]["name"] == "may"
    assert client.delete(own).status_code == 204
    assert client.get(own).json()["type"] == "urn:mcenter:problem:unknown-capture"
