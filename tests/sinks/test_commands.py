"""The commands on the warehouse, as a user runs them, from a KPI file to its correlation."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from parallelm.schemas import topics
from tests.sinks import samples
from tests.sinks.samples import T0_MS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from tests.sinks.conftest import Platform


def kpi_file(folder: Path, days: int) -> Path:
    file = folder / "kpis.csv"
    rows = [
        f"rate,{pd.Timestamp(T0_MS + 86_400_000 * n, unit='ms').isoformat()},{n * n % 11},UA"
        for n in range(days)
    ]
    file.write_text("kpi,timestamp,value,carrier\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def test_kpis_from_a_file_to_their_correlation(
    platform: Platform, command: Callable[..., Result], tmp_path: Path
):
    output = command("kpis", "upload", str(kpi_file(tmp_path, 60)), "--mlapp", "app").output
    first, last = (pd.Timestamp(T0_MS + 86_400_000 * n, unit="ms") for n in (0, 59))
    assert output == (
        f"uploaded 60 points of 1 KPI to MLApp app\n  rate: 60 points from {first} to {last} UTC\n"
    )
    times = [float(T0_MS + 86_400_000 * n) for n in range(60)]
    platform.send(
        topics.STATISTICS,
        samples.batch(samples.series(times, [float(n * n % 11) for n in range(60)], "load")),
    )
    with platform.sink():
        platform.wait("SELECT count() FROM kpis", 60)
        platform.wait("SELECT sum(samples) FROM statistics_by_day", 60)
    assert platform.rows("SELECT DISTINCT source, labels, agent_id != '' FROM kpis") == [
        ("kpis.csv", {"carrier": "UA"}, 1)
    ]
    [best] = json.loads(
        command("correlate", "rate", "--label", "carrier=UA", "--top", "1", "--format", "json").stdout
    )
    assert (best["statistic"], best["lag"], best["n"]) == ("load", 0, 60)
    assert best["verdict"] == "goes with it"
    shown = command("correlate", "rate", "--top", "1")
    assert "removed from all series: day of week; trend" in shown.stderr
    assert "a rise of 'load' on predict by one deviation (" in shown.stderr
    assert "), on the same day" in shown.stderr
    assert "goes with it" in shown.stdout
    days = ["--from", "2013-06-10", "--to", "2013-07-10", "--holiday", "2013-06-12", "--keep", "trend"]
    found = command("correlate", "rate", *days, "--top", "1", "--format", "json")
    assert json.loads(found.stdout)[0]["n"] == 30
    assert "removed from all series: day of week; holidays (1 bucket)\n" in found.stderr
    assert len(list(csv.reader(io.StringIO(command("kpis", "list", "rate", "--format", "csv").stdout)))) == 61
    assert "KPI 'speed' has no points" in command("correlate", "speed", exit_code=1).output


def test_labels_may_be_as_long_as_they_are(
    platform: Platform, command: Callable[..., Result], tmp_path: Path
):
    file = tmp_path / "long.csv"
    lines = [f"rate,2013-01-01T00:00:00.{n:03},{n},{'x' * 2_500}\n" for n in range(600)]
    file.write_text("kpi,timestamp,value,comment\n" + "".join(lines), encoding="utf-8")
    command("kpis", "upload", str(file))
    with platform.sink():
        platform.wait("SELECT count() FROM kpis", 600)
    assert platform.value("SELECT uniqExact(seq, _index) FROM kpis") == 600


def test_a_year_of_local_hours_from_a_spreadsheet_is_stored_hour_by_hour(
    platform: Platform, command: Callable[..., Result], tmp_path: Path
):
    hours = pd.date_range("2013-01-01", "2014-01-01", freq="h", tz="Europe/Berlin", inclusive="left")
    file = tmp_path / "last.csv"
    lines = [f"Last;{hour:%d.%m.%Y %H:%M};{1_000 + number},5" for number, hour in enumerate(hours)]
    text = "sep=;\r\nKennzahl;Datum;Wert\r\n" + "\r\n".join(lines) + "\r\n;;\r\n"
    file.write_bytes(text.encode("utf-16"))
    options = [f"--column={name}" for name in ("kpi=Kennzahl", "timestamp=Datum", "value=Wert")]
    refused = command(
        "kpis", "upload", str(file), *options, "--timezone", "Europe/Berlin", exit_code=1
    ).output
    assert "line 7181, column timestamp: 2013-10-27 02:00:00 is shown twice" in refused
    assert "2 bad lines: nothing was uploaded" in refused
    output = command(
        "kpis", "upload", str(file), *options, "--timezone", "Europe/Berlin", "--ambiguous", "by-order"
    ).output
    assert output == (
        "uploaded 8760 points of 1 KPI to MLApp default\n"
        "  Last: 8760 points from 2012-12-31 23:00:00 to 2013-12-31 22:00:00 UTC\n"
    )
    with platform.sink():
        platform.wait("SELECT uniqExact(event_time) FROM kpis_current", 8_760)
    assert platform.rows("SELECT min(value), max(value) FROM kpis_current") == [(1000.5, 9759.5)]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--delimiter", "ab", "must be one character, or tab"),
        ("--column", "timestamp", "is not key=value"),
        ("--ambiguous", "maybe", "'maybe' is not one of 'refuse', 'earlier', 'later', 'by-order'"),
        ("--timezone", "../etc", "unknown time zone"),
    ],
)
def test_options_of_an_upload_are_checked(
    command: Callable[..., Result], tmp_path: Path, option: str, value: str, expected: str
):
    output = command("kpis", "upload", str(kpi_file(tmp_path, 1)), option, value, exit_code=2).output
    assert expected in " ".join(output.split())


def test_a_file_with_a_bad_line_uploads_nothing_unless_told_to(
    platform: Platform, command: Callable[..., Result], tmp_path: Path
):
    file = tmp_path / "bad.csv"
    file.write_text(
        "kpi,timestamp,value\nk,2013-01-01,1\nk,2013-02-30,1\nk,2013-01-02,NaN\n", encoding="utf-8"
    )
    output = command("kpis", "upload", str(file), exit_code=1).output
    assert "bad.csv: line 3, column timestamp: '2013-02-30' is not a date in the order year" in output
    assert "bad.csv: line 4, column value: 'NaN' is not a finite number" in output
    assert "2 bad lines: nothing was uploaded" in output
    with platform.sink():
        assert "uploaded 1 point" in command("kpis", "upload", str(file), "--skip-bad").output
        platform.wait("SELECT count() FROM kpis", 1)
    assert "is not UTF-8" in upload_bytes(command, tmp_path, b"kpi,timestamp,value\nk,2013-01-01,\xff\n")
    assert "the file is empty" in upload_bytes(command, tmp_path, b"")
    assert (
        "unknown time zone 'Mars'"
        in command("kpis", "upload", str(file), "--timezone", "Mars", exit_code=2).output
    )


def test_kpis_without_their_topic_are_told_so(
    command: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MCENTER_KAFKA_TOPIC_PREFIX", "nobody.")
    output = command("kpis", "upload", str(kpi_file(tmp_path, 1)), exit_code=1).output
    assert "topic 'nobody.kpis' is not on the cluster; create it with `mcenter topics create`" in output


def test_a_query_that_would_wait_for_rows_is_refused(command: Callable[..., Result]):
    output = command("query", "insert into kpis values", exit_code=2).output
    assert "INSERT works only with a SELECT here" in output


def upload_bytes(command: Callable[..., Result], folder: Path, content: bytes) -> str:
    (folder / "file.csv").write_bytes(content)
    return command("kpis", "upload", str(folder / "file.csv"), exit_code=1).output


def test_lists_tell_the_reason(platform: Platform, command: Callable[..., Result]):
    with platform.sink():
        platform.send(topics.MODELS, samples.model())
        platform.send(topics.DEPLOYMENTS, samples.deployment("requested"))
        platform.send(topics.DEPLOYMENTS, samples.deployment("active", at_ms=T0_MS + 1000))
        platform.send(topics.ALERTS, samples.alert("firing"))
        platform.wait("SELECT count() FROM deployment_transitions", 2)
        platform.wait("SELECT count() FROM models", 1)
        platform.wait("SELECT count() FROM alert_transitions", 1)
    assert "because requested" in command("deployments", "list", "--mlapp", "app").output
    assert "because firing" in command("alerts", "list", "--open").output
    assert "m-1" in command("models", "list").output
    [alert] = json.loads(command("alerts", "list", "--mlapp", "app", "--format", "json").stdout)
    assert (alert["state"], alert["resolved_at"], alert["labels"]) == ("firing", None, {"feature": "temp"})
    assert "(no rows)" in command("alerts", "list", "--mlapp", "other").output


@pytest.mark.usefixtures("tables")
def test_query_writes_every_format(command: Callable[..., Result], tmp_path: Path):
    sql = "SELECT toInt32(1) AS a, 'x,y' AS b, [1.5, 2.5] AS c, map('k', 'v') AS d, toDateTime64(0, 3, 'UTC') AS e, NULL AS f"
    assert command("query", sql).output.splitlines()[1].split()[:2] == ["1", "x,y"]
    [row] = csv.DictReader(io.StringIO(command("query", sql, "--format", "csv").stdout))
    assert row == {
        "a": "1",
        "b": "x,y",
        "c": "[1.5, 2.5]",
        "d": '{"k": "v"}',
        "e": "1970-01-01 00:00:00",
        "f": "",
    }
    assert json.loads(command("query", sql, "--format", "json").stdout) == [
        {"a": 1, "b": "x,y", "c": [1.5, 2.5], "d": {"k": "v"}, "e": "1970-01-01T00:00:00+00:00", "f": None}
    ]
    file = tmp_path / "result.parquet"
    command("query", sql, "--format", "parquet", "--output", str(file))
    assert pd.read_parquet(file).loc[0, "b"] == "x,y"
    assert "name" in command("query", "SHOW TABLES").output
    command("query", "SELECT 1 AS a", "--format", "csv", "--output", str(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text() == "a\n1\n"


MISTAKES: list[tuple[list[str], int, str]] = [
    (["query", "SELEC 1"], 1, "Syntax error"),
    (["query", "SELECT * FROM nowhere"], 1, "mcenter warehouse migrate"),
    (["query", "  "], 2, "no SQL"),
    (["query", "SELECT 1", "--output", "/nowhere/at/all"], 1, "cannot write"),
    (["sink", "--topics", "speed"], 2, "unknown topic 'speed'"),
    (["sink", "--topics", "heartbeats"], 2, "is not stored"),
    (["dead-letters", "list", "--topic", "speed"], 2, "unknown topic 'speed'"),
    (["correlate", "rate", "--label", "carrier"], 2, "is not key=value"),
    (["correlate", "rate", "--from", "tomorrow"], 2, "such as 2026-03-01"),
    (["correlate", "rate", "--to", "1704067200"], 2, "not a side of a range"),
    (["correlate", "rate", "--from", "2026-03-02", "--to", "2026-03-01"], 1, "after the end"),
]


@pytest.mark.usefixtures("tables")
def test_mistakes_are_told_in_a_line(command: Callable[..., Result]):
    for arguments, exit_code, expected in MISTAKES:
        output = command(*arguments, exit_code=exit_code).output
        assert expected in output
        assert "Traceback" not in output


def test_a_database_that_is_away_is_told_in_a_line(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MCENTER_CLICKHOUSE_PORT", "1")
    for arguments in (["query", "SELECT 1"], ["warehouse", "status"], ["alerts", "list"]):
        output = command(*arguments, exit_code=1).output
        assert "ClickHouse does not answer at" in output
        assert len(output.strip().splitlines()) == 1
