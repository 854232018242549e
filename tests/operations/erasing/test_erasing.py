"""An MLApp is erased everywhere, also when that was cut short; what is not meant stays."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli
from parallelm.operations.captures import list_captures
from parallelm.operations.definitions import list_definitions
from parallelm.operations.erasing import erase, find, held_by_kafka
from parallelm.operations.errors import EraseError
from parallelm.operations.silences import list_silences
from parallelm.schemas.topic_reader import StartPoint, read_topic
from parallelm.schemas.topics import MLAPP_STATE, SERIES_STATE, STATISTICS
from parallelm.server.accounts.database import Database
from parallelm.server.accounts.tables import Grant
from parallelm.warehouse.catalogue import catalogue
from parallelm.warehouse.erasure import OfLabel, OfMLApp, count_rows
from parallelm.warehouse.queries.erasures import erased
from tests.operations.erasing.conftest import ADA, customer
from tests.stream_processors.live import Cluster
from tests.waiting import wait_for

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic
    from tests.operations.erasing.conftest import Platform

STAYS = OfMLApp("stays")
_KILLED = """
import os, signal, sys
from parallelm.connections import load_settings
from parallelm.operations.authors import Author
from parallelm.operations.erasing import erase
from parallelm.warehouse.erasure import OfMLApp

def on_step(step):
    if step == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

erase(load_settings(role="admin"), OfMLApp(sys.argv[2]), who=Author("ada", "unverified_local_user"), on_step=on_step)
"""


@pytest.fixture
def config(platform: Platform, tmp_path: Path) -> dict[str, str]:
    """The environment of a command."""
    save_settings(platform.settings, tmp_path / "mcenter.toml")
    return {"MCENTER_CONFIG": str(tmp_path / "mcenter.toml")}


def run(config: dict[str, str], *arguments: str, code: int = 0, answer: str = "") -> str:
    done = CliRunner().invoke(cli, ["erase", *arguments], env=config, input=answer)
    assert done.exit_code == code, done.output
    return done.output


def remembered(settings: Settings, topic: Topic, mlapp_id: str) -> set[str]:
    """Kinds of what processors remember of an MLApp."""
    newest: dict[bytes, bytes | None] = {}
    name = topic.full_name(settings.kafka.topic_prefix)
    for record in read_topic(settings, name, StartPoint("beginning"), follow=False):
        newest[record.key or b""] = record.value
    keys = [json.loads(key) for key, value in newest.items() if value is not None]
    return {kind for kind, of, _ in keys if of == mlapp_id}


def roles(settings: Settings) -> set[tuple[str, str]]:
    database = Database(settings.server.database_url)
    with database.reading() as sql:
        found = {(grant.mlapp_id, grant.role) for grant in sql.query(Grant)}
    database.close()
    return found


def audit(platform: Platform, action: str, target: str) -> list[dict[str, Any]]:
    columns = ("target", "who", "authenticated_by", "comment", "parameters")
    rows = platform.rows(
        f"SELECT {', '.join(columns)} FROM actions WHERE action = '{action}' AND target = '{target}' ORDER BY event_time"
    )
    return [dict(zip(columns, row, strict=True)) for row in rows]


def files(platform: Platform, mlapp_id: str) -> list[str]:
    root = Path(platform.settings.artifacts.url.removeprefix("file://"))
    return [path.name for path in root.rglob("*") if path.is_file() and f"/{mlapp_id}/" in str(path)]


def places_with(platform: Platform, text: str) -> list[str]:
    """Tables, files and tables of the SQL database that still have a text somewhere, in whatever column."""
    found = []
    for relation in catalogue(platform.settings):
        if relation.kind == "table":
            # Records of the audit log that belong to no MLApp stay.
            own = "AND mlapp_id != '*'" if relation.name == "actions" else ""
            ((count,),) = platform.rows(
                f"SELECT count() FROM {relation.name} WHERE position(formatRow('TSV', *), '{text}') > 0 {own}"
            )
            found += [relation.name] * bool(count)
    root = Path(platform.settings.artifacts.url.removeprefix("file://"))
    found += [
        str(path)
        for path in root.rglob("*")
        if text in str(path) or (path.is_file() and text.encode() in path.read_bytes())
    ]
    with closing(sqlite3.connect(platform.settings.server.database_url.removeprefix("sqlite:///"))) as sql:
        found += [line for line in sql.iterdump() if text in line and '"audit_records"' not in line]
    return found


def test_what_there_is_not_is_refused(platform: Platform, config: dict[str, str]):
    assert "there is nothing of MLApp nobody" in run(config, "--mlapp", "nobody", "--yes", code=1)
    assert "there is nothing of label customer=nobody" in run(
        config, "--label", "customer=nobody", "--yes", code=1
    )
    assert "no MLApp" in run(config, "--mlapp", "*", "--yes", code=1)
    assert "--mlapp ID or --label" in run(config, code=2)
    assert "--mlapp ID or --label" in run(config, "--mlapp", "a", "--label", "b=c", code=2)
    with pytest.raises(EraseError, match="is no MLApp"):
        erase(platform.settings, OfMLApp(""), who=ADA)


def test_a_label_goes_from_all_tables_and_nothing_else(platform: Platform, config: dict[str, str], gone: str):
    settings, label = platform.settings, OfLabel("customer", customer(gone))
    before = {selection: count_rows(settings, selection) for selection in (OfMLApp(gone), STAYS, label)}
    assert before[label]["statistics"] == 3
    assert before[label]["statistics_by_day_state"] == 3
    assert before[label]["alert_transitions_log"] > 0
    has_it = places_with(platform, label.value)
    assert "statistics" in has_it
    assert any(each.endswith(".tar") for each in has_it), "a capture"
    assert any("answered_requests" in each for each in has_it)
    assert any('"tasks"' in each for each in has_it)
    output = run(config, "--label", str(label).removeprefix("label "), "--yes", "--comment", "asked for")
    assert "rows of statistics" in output
    assert count_rows(settings, label) == {}
    assert count_rows(settings, STAYS) == before[STAYS]
    for table, count in count_rows(settings, OfMLApp(gone)).items():
        assert count == before[OfMLApp(gone)][table] - before[label].get(table, 0), table
    platform.settle()
    assert places_with(platform, label.value) == []
    assert "stays" in {each.mlapp_id for each in list_captures(settings)}
    (record,) = audit(platform, "erase", str(label))
    assert record["comment"] == "asked for"
    assert record["parameters"]["rows of statistics"] == "3"


def test_an_mlapp_goes_from_everywhere(platform: Platform, config: dict[str, str], gone: str):
    settings = platform.settings
    before = count_rows(settings, OfMLApp(gone))
    others = count_rows(settings, STAYS)
    for table in (
        "statistics",
        "histograms",
        "predictions",
        "models_log",
        "deployment_transitions_log",
        "dead_letters_log",
        "actions",
        "actuals",
        "agents",
        "logs",
        "notifications",
        "run_transitions_log",
    ):
        assert before[table] > 0, table
    letters = f"SELECT DISTINCT key FROM dead_letters_log WHERE key = '{gone}' OR position(value, '{gone}') > 0 ORDER BY key"
    assert platform.rows(letters) == [(gone,), ("host-9",)], "one has the key of an agent"
    assert remembered(settings, MLAPP_STATE, gone) >= {"deployments", "component-alert"}
    assert remembered(settings, SERIES_STATE, gone)
    counted = run(config, "--mlapp", gone, "--dry-run")
    assert "rows of statistics" in counted
    assert "files of models" in counted
    assert "roles" in counted
    assert count_rows(settings, OfMLApp(gone)) == before
    assert "Aborted" in run(config, "--mlapp", gone, answer="n\n", code=1)
    assert count_rows(settings, OfMLApp(gone)) == before

    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, "erases rows", gone], env=os.environ | config, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert count_rows(settings, OfMLApp(gone))["statistics"] == before["statistics"]
    assert "rows of" in run(config, "--mlapp", gone, "--yes", "--who", "grace", "--comment", "it is over")

    assert find(settings, OfMLApp(gone)).is_nothing
    assert count_rows(settings, STAYS) == others
    assert gone not in {each.mlapp_id for each in list_definitions(settings)}
    assert (files(platform, gone), sorted(files(platform, "stays"))) == (
        [],
        ["c-stays.json", "c-stays.tar", "m.json"],
    )
    assert "stays" in {each.mlapp_id for each in list_captures(settings)}
    silenced = {each.matchers[0].value for each in list_silences(settings)}
    assert ("stays" in silenced, gone in silenced) == (True, False)
    assert (("stays", "viewer") in roles(settings), (gone, "viewer") in roles(settings)) == (True, False)
    assert not remembered(settings, MLAPP_STATE, gone)
    wait_for(lambda: not remembered(settings, SERIES_STATE, gone))
    assert remembered(settings, MLAPP_STATE, "stays") >= {"deployments", "component-alert"}
    assert remembered(settings, SERIES_STATE, "stays")
    platform.settle()
    assert count_rows(settings, OfMLApp(gone)) == {}
    assert places_with(platform, gone) == []
    assert any('"tasks"' in each for each in places_with(platform, "stays"))
    (record,) = audit(platform, "erase", f"MLApp {gone}")
    assert (record["who"], record["authenticated_by"], record["comment"]) == (
        "grace",
        "unverified_local_user",
        "it is over",
    )
    assert int(record["parameters"]["rows of statistics"]) == before["statistics"]
    begun = [each["parameters"] for each in audit(platform, "begin_erase", f"MLApp {gone}")]
    assert begun[0]["captures"] == "1", "what the killed ones had erased is on record, too"
    held = {each.topic: each for each in held_by_kafka(settings)}
    assert held[STATISTICS.full_name(settings.kafka.topic_prefix)].for_ms is not None
    assert all(f"kafka holds {topic} until" in record["parameters"] for topic in held)


def test_it_does_not_come_back_unless_it_is_reported_anew(
    platform: Platform, config: dict[str, str], gone: str
):
    settings = platform.settings
    others = count_rows(settings, STAYS)
    run(config, "--mlapp", gone, "--yes")
    for process in (platform.sink, platform.processors):
        process.terminate()
        process.start()
    Cluster(settings, "stays").event(5, "GenericEvent")
    late = Cluster(settings, gone)
    late.statistic(1, "share", 0.9)
    late.flush()
    wait_for(lambda: count_rows(settings, OfMLApp(gone)).get("statistics") == 1)
    assert set(count_rows(settings, OfMLApp(gone))) == {"statistics", "statistics_by_day_state"}
    known = {each.target: each for each in erased(settings)}
    assert (known[f"MLApp {gone}"].is_done, known[f"MLApp {gone}"].rows_since) == (True, 1)
    doctor = CliRunner().invoke(cli, ["doctor"], env=config).output
    assert f"1 rows of MLApp {gone} have come since it was erased" in doctor
    assert "rows of statistics" in run(config, "--mlapp", gone, "--yes")
    platform.settle()
    assert count_rows(settings, OfMLApp(gone)) == {}
    assert f"MLApp {gone}" not in {
        each.target for each in erased(settings) if each.rows_since or not each.is_done
    }
    assert count_rows(settings, STAYS)["statistics"] == others["statistics"]


def test_without_processors_or_sinks_nothing_is_erased_by_halves(
    platform: Platform, config: dict[str, str], gone: str
):
    settings = platform.settings
    before = count_rows(settings, OfMLApp(gone))
    platform.sink.terminate()
    try:
        assert "start them with `mcenter sink`" in run(
            config, "--label", f"customer={customer(gone)}", "--yes", "--timeout", "1", code=1
        )
    finally:
        platform.sink.start()
    platform.processors.terminate()
    try:
        output = run(config, "--mlapp", gone, "--yes", "--timeout", "1", code=1)
        assert "start them with `mcenter processors`" in output
        assert count_rows(settings, OfMLApp(gone))["statistics"] == before["statistics"]
        assert files(platform, gone)
    finally:
        platform.processors.start()
    run(config, "--mlapp", gone, "--yes")
    assert find(settings, OfMLApp(gone)).is_nothing
