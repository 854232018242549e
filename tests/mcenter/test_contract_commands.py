"""``mcenter topics``, ``mcenter schemas`` and ``mcenter tail``, as their users meet them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from parallelm.connections import Settings, save_settings
from parallelm.connections.kafka import client_config
from parallelm.mcenter.cli import cli
from parallelm.schemas import packaged
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import Event, Origin
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topics import CATALOGUE
from parallelm.supervision.die_with_parent import killed_with_us
from tests.made_topics import make_topics
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAIT_S = 120


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``mcenter`` with this test's settings."""
    file = tmp_path / "mcenter.toml"
    save_settings(settings, file)
    monkeypatch.setenv("MCENTER_CONFIG", str(file))
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


def event(seq: int, **more: Any) -> Event:
    return Event(
        **{
            "origin": Origin(mlapp_id="flights", node_id="train", pipeline_instance_id="1", agent_id="host"),
            "producer_id": "p",
            "seq": seq,
            "event_time_ms": 1_000 + seq,
            "event_id": str(seq),
            "type": "GenericEvent",
            "title": "títle",
            "description": "",
            "is_alert": seq % 2 == 0,
            "model_id": "",
            "labels": {"carrier": "UA", "a.b": str(seq)},
            "content_type": "application/octet-stream",
            "data": b"\xff\x00",
            **more,
        }
    )


@pytest.fixture
def events(settings: Settings) -> str:
    """A topic of events: 0 to 5, one of another MLApp, a tombstone, and poison of two kinds."""
    name = f"{settings.kafka.topic_prefix}events"
    make_topics(settings, NewTopic(name, 2))
    codec = Codec(PackagedRegistry())
    other = Origin(mlapp_id="other", node_id="predict", pipeline_instance_id="1", agent_id="host")
    values = [*(codec.encode(event(seq)) for seq in range(6)), codec.encode(event(6, origin=other))]
    producer = Producer(client_config(settings.kafka))
    for value in [*values, None, b"poison", b"\0garbage"]:
        producer.produce(name, value, key=b"flights", partition=0)
    assert producer.flush(WAIT_S) == 0
    return name


def test_topics_are_created_listed_and_checked(run: Callable[..., Result], settings: Settings):
    missing = run("topics", "check")
    assert missing.exit_code == 1
    assert f"{settings.kafka.topic_prefix}statistics: topic is missing" in missing.output
    created = run("topics", "create")
    assert (created.exit_code, created.output.count("created ")) == (0, len(CATALOGUE))
    assert run("topics", "create").output == "all topics exist\n"
    checked = run("topics", "check")
    assert (checked.exit_code, checked.output) == (0, "all topics are as the catalogue defines them\n")
    rows = json.loads(run("topics", "list", "--format", "json").output)
    assert rows[0] == {
        "topic": f"{settings.kafka.topic_prefix}statistics",
        "record": "StatisticsBatch",
        "key": "origin",
        "partitions": 12,
        "retention": "7 d",
        "cleanup": "delete",
        "records": 0,
    }
    assert run("topics", "list").output.splitlines()[0].split()[:3] == ["topic", "record", "key"]


def test_a_broker_that_is_away_is_one_line_without_a_traceback(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MCENTER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    for command in (("topics", "create"), ("topics", "list"), ("topics", "check"), ("tail", "events")):
        result = run(*command, "--timeout", "0.5")
        assert result.exit_code == 1
        assert result.output.startswith("Error: no Kafka broker answered at '127.0.0.1:9' within 0.5 s")
        assert len(result.output.splitlines()) == 1


def test_tail_prints_decoded_records_tombstones_and_poison(run: Callable[..., Result], events: str):
    result = run("tail", "events", "--from", "beginning")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines) == 10
    assert " 0/0 flights Event {" in lines[0]
    assert '"title": "títle"' in lines[0]
    assert lines[7].endswith("0/7 flights TOMBSTONE")
    assert "UNDECODABLE a record of 6 bytes" in lines[8]
    assert "UNDECODABLE schema id 1734439522 is not the id of a packaged schema" in lines[9]
    assert run("tail", events, "--from", "beginning").output == result.output


def test_tail_prints_strict_json_for_programs(run: Callable[..., Result], events: str):
    rows = [
        json.loads(line)
        for line in run("tail", "events", "--json", "--from", "beginning").output.splitlines()
    ]
    first = rows[0] | {"ingested_at_ms": 0, "value": rows[0]["value"] | {"origin": 0}}
    assert first == {
        "topic": events,
        "partition": 0,
        "offset": 0,
        "ingested_at_ms": 0,
        "key": "flights",
        "record": "Event",
        "value": {
            "origin": 0,
            "producer_id": "p",
            "seq": 0,
            "event_time_ms": 1000,
            "event_id": "0",
            "type": "GenericEvent",
            "title": "títle",
            "description": "",
            "is_alert": True,
            "model_id": "",
            "labels": {"carrier": "UA", "a.b": "0"},
            "content_type": "application/octet-stream",
            "data": {"base64": "/wA="},
        },
    }
    assert (rows[7]["record"], rows[7]["value"]) == (None, None)
    assert rows[8]["bytes"] == {"base64": "cG9pc29u"}
    assert "Confluent wire format" in rows[8]["error"]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        (["--from", "latest:2"], [8, 9]),
        (["--from", "latest 3", "--limit", "2"], [7, 8]),
        (["--from", "end", "--no-follow"], []),
        (["--from", "beginning", "--limit", "1"], [0]),
        (["--from", "0", "--follow", "--limit", "3"], [0, 1, 2]),
        (["--from", "2100-01-01"], []),
        (["--from", "1900-01-01", "--limit", "2"], [0, 1]),
        (["--from", "2020-01-01T00:00:00+02:00", "--mlapp", "other"], [6]),
        (["--from", "beginning", "--node", "train", "--where", "is_alert=true"], [0, 2, 4]),
        (["--from", "beginning", "--where", "labels.a.b=3"], [3]),
        (["--from", "beginning", "--where", "labels.carrier=UA", "--where", "seq=5"], [5]),
        (["--from", "beginning", "--where", "origin.node_id=predict"], [6]),
    ],
    ids=str,
)
def test_tail_starts_and_filters_as_asked(run: Callable[..., Result], options: list[str], offsets: list[int]):
    result = run("tail", "events", "--json", *options)
    assert result.exit_code == 0
    assert [json.loads(line)["offset"] for line in result.output.splitlines()] == offsets


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nonsense"], "unknown topic 'nonsense'; there are: "),
        (["events", "--from", "tomorrow"], "'tomorrow' is neither beginning, end, latest:N"),
        (["events", "--from", "latest"], "'latest' is neither"),
        (["events", "--from", "9" * 23], "neither beginning, end, latest:N"),
        (["events", "--from", "1704067200"], "but 2024-01-01 00:00:00 in seconds; write epoch milliseconds"),
        (["events", "--where", "title"], "'title' is not a filter; write field=value"),
        (["events", "--where", "colour=red"], "Event has no field 'colour'; it has: origin, producer_id"),
        (["heartbeats", "--mlapp", "x"], "Heartbeat has no mlapp_id"),
        (["events", "--limit", "0"], "0 is not in the range"),
    ],
    ids=str,
)
def test_tail_says_what_it_cannot_understand(run: Callable[..., Result], arguments: list[str], expected: str):
    result = run("tail", *arguments)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())


def test_tail_names_a_topic_that_is_not_on_the_cluster(run: Callable[..., Result], settings: Settings):
    result = run("tail", "events")
    name = f"{settings.kafka.topic_prefix}events"
    expected = f"Error: topic '{name}' is not on the cluster; create it with `mcenter topics create`\n"
    assert (result.exit_code, result.output) == (1, expected)


def test_schemas_are_listed_and_checked(run: Callable[..., Result], settings: Settings):
    rows = json.loads(run("schemas", "list", "--format", "json").output)
    assert {row["id"]: row["record"] for row in rows} == {
        schema.schema_id: schema.record for schema in packaged.by_id().values()
    }
    assert rows[0]["subject"] == f"{settings.kafka.topic_prefix}statistics-value"
    assert "StatisticsBatch" in run("schemas", "list").output
    checked = run("schemas", "check")
    assert (checked.exit_code, checked.output) == (
        0,
        f"{len(CATALOGUE)} schemas are compatible with all their earlier versions\n",
    )
    assert "set MCENTER_SCHEMA_REGISTRY_URL" in run("schemas", "register").output


def test_schemas_are_served_until_sigterm(run: Callable[..., Result], settings: Settings, tmp_path: Path):
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        killed_with_us(sys.executable, "-m", "parallelm.mcenter", "schemas", "serve", "--port", "0"),
        env=os.environ | {"MCENTER_READY_FILE": str(ready), "MCENTER_METRICS_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        wait_for(lambda: ready.exists() or process.poll() is not None, "the registry is ready")
        with urllib.request.urlopen(f"{url}/subjects", timeout=WAIT_S) as response:  # noqa: S310 - loopback
            assert f"{settings.kafka.topic_prefix}heartbeats-value" in json.load(response)
        taken = run("schemas", "serve", "--port", url.rsplit(":", 1)[1])
        assert taken.exit_code == 1
        assert "Address already in use; choose another with --port" in taken.output
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.communicate()
