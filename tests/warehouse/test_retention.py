"""Retention: as the settings ask, by arrival, and shown where it is not."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from parallelm.connections import RetentionSettings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.warehouse import drift
from parallelm.warehouse.errors import RetentionError
from parallelm.warehouse.retention import (
    CLASSES,
    KEPT_FOR_EVER,
    apply_retention,
    check_retention,
    current_days,
    retention,
)
from tests.waiting import wait_for
from tests.warehouse.rows import DAY_MS, T0_MS, insert, kpi, statistic

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_driver import Client

    from parallelm.connections import Settings


def asking(settings: Settings, **days: int) -> Settings:
    return dataclasses.replace(settings, retention=RetentionSettings(**days))


@pytest.mark.parametrize(
    ("engine", "days"),
    [
        ("MergeTree ORDER BY a SETTINGS index_granularity = 8192", 0),
        ("MergeTree ORDER BY a TTL toDateTime(ingested_at) + toIntervalDay(90) SETTINGS b = 1", 90),
        ("MergeTree ORDER BY a TTL toDateTime(last_ingested_at) + toIntervalYear(2)", 730),
        ("MergeTree ORDER BY a TTL toDateTime(event_time) + toIntervalDay(90) SETTINGS b = 1", None),
        ("MergeTree ORDER BY a TTL toDateTime(ingested_at) + toIntervalDay(9) TO VOLUME 'cold' SETTINGS b = 1", None),
    ],
)  # fmt: skip
def test_days_are_read_from_the_servers_own_words(engine: str, days: int | None) -> None:
    assert current_days(engine) == days


def test_a_migrated_database_keeps_what_the_defaults_say(settings: Settings, client: Client) -> None:
    found = retention(settings)
    assert [each for each in found if each.differs] == []
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    stored = {name for (name,) in client.execute(tables)} - {"schema_migrations", "schema_objects"}
    assert {each.table for each in found} == stored
    assert {each.table for each in found if not each.setting} == set(KEPT_FOR_EVER)
    assert set(CLASSES) == {field.name for field in dataclasses.fields(RetentionSettings)}


def test_rows_go_by_their_arrival_and_not_by_their_event_time(settings: Settings, client: Client) -> None:
    now_ms = time.time_ns() // 1_000_000
    insert(client, "statistics", [statistic("old news", T0_MS, 1.0)])
    insert(
        client, "statistics", [statistic("long here", now_ms, 2.0) | {"ingested_at": now_ms - 40 * DAY_MS}]
    )
    insert(client, "kpis", [kpi("k", T0_MS, 1.0) | {"ingested_at": now_ms - 4000 * DAY_MS}])
    assert apply_retention(asking(settings, statistics_days=30))[0].table == "statistics"
    assert apply_retention(asking(settings, statistics_days=30)) == []

    def names() -> list[tuple[str]]:
        client.execute("OPTIMIZE TABLE statistics FINAL")
        return list(client.execute("SELECT name FROM statistics"))

    wait_for(lambda: names() == [("old news",)], "the merge that drops what is older than 30 days")
    assert client.execute("SELECT sum(samples) FROM statistics_by_day") == [(2,)]  # kept longer
    assert client.execute("SELECT count() FROM kpis") == [(1,)]  # for ever
    assert drift(settings) == []


def test_for_ever_and_back(settings: Settings, client: Client) -> None:
    apply_retention(asking(settings, kpis_days=7, dead_letters_days=60, decisions_days=92))
    found = {each.table: each.current_days for each in retention(settings)}
    assert (found["kpis"], found["dead_letters_log"], found["actions"]) == (7, 60, 92)
    client.execute("ALTER TABLE events MODIFY TTL toDateTime(event_time) + toIntervalDay(1)")
    assert {each.table: each.current_days for each in retention(settings)}["events"] is None
    apply_retention(settings)
    assert not any(each.differs for each in retention(settings))


def test_what_holds_now_stays_however_long_ago_it_was_decided(settings: Settings, client: Client) -> None:
    client.execute("ALTER TABLE mlapps MODIFY TTL toDateTime(ingested_at) + toIntervalDay(92)")
    assert [each.table for each in apply_retention(asking(settings, decisions_days=365))] == [
        *CLASSES["decisions_days"],
        "mlapps",
    ]
    found = {each.table: each.current_days for each in retention(settings)}
    assert [found[table] for table in KEPT_FOR_EVER] == [0, 0, 0]


@pytest.mark.parametrize(
    ("letters", "answers", "remedy"),
    [
        (0, 365, r"for ever .* 365 days .*, set decisions_days to 0 \(for ever\), too, or dead_letters_days to 333 or less$"),
        (90, 90, r"90 days .* 90 days .* or to 122 or more, or dead_letters_days to 58 or less$"),
        (90, 7, r"only 7 days .* or to 122 or more$"),
        (90, 121, "open again"),
    ],
)  # fmt: skip
def test_answers_to_dead_letters_do_not_go_before_the_letters(
    letters: int, answers: int, remedy: str
) -> None:
    with pytest.raises(RetentionError, match=remedy):
        check_retention(RetentionSettings(dead_letters_days=letters, decisions_days=answers))
    check_retention(RetentionSettings(dead_letters_days=letters, decisions_days=0))
    if letters:
        check_retention(RetentionSettings(dead_letters_days=letters, decisions_days=letters + 32))


@pytest.mark.usefixtures("client")
def test_the_command_shows_and_applies_what_the_file_asks(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mcenter.toml"
    save_settings(asking(settings, events_days=30), config)
    assert "events_days = 30" in config.read_text()
    monkeypatch.setenv("MCENTER_CONFIG", str(config))
    shown = CliRunner().invoke(cli, ["warehouse", "retention"])
    assert shown.exit_code == 1
    assert "kept 1825 days, the settings ask for 30 days" in shown.output
    applied = CliRunner().invoke(cli, ["warehouse", "retention", "--apply"])
    assert (applied.exit_code, "kept 30 days (changed)" in applied.output) == (0, True), applied.output
    save_settings(asking(settings, decisions_days=30), config)
    for command in ("retention", "migrate"):
        refused = CliRunner().invoke(cli, ["warehouse", command])
        assert (refused.exit_code, "would be open again" in refused.output) == (1, True), refused.output
