"""What operators and auditors ask over REST, and dead letters that they answer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import EVENTS
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

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
