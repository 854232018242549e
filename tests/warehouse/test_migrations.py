"""Migrations: applied in order, once, by anyone at any time; refused when code and database do not match."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import Client, errors

from parallelm.connections import save_settings
from parallelm.sinks.blocks import MAX_BLOCK_SAMPLES
from parallelm.sinks.writer import _INSERT_SETTINGS
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.warehouse import MigrationError, migrate, status
from parallelm.warehouse.migrations import Migration, compare, packaged_migrations

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings


def test_a_database_is_created_and_migrated_once(settings: Settings):
    pending = status(settings).pending
    assert [migration.version for migration in pending] == list(range(1, len(packaged_migrations()) + 1))
    assert migrate(settings) == list(pending)
    assert migrate(settings) == []
    assert status(settings).applied == pending


def test_processes_that_migrate_at_once_do_not_break(settings: Settings, tmp_path: Path):
    config = tmp_path / "mcenter.toml"
    save_settings(settings, config)
    command = killed_with_us(sys.executable, "-m", "parallelm.mcenter", "warehouse", "migrate")
    running = [subprocess.Popen(command, env={"MCENTER_CONFIG": str(config)}) for _ in range(3)]
    assert [process.wait(200) for process in running] == [0, 0, 0]
    assert status(settings).pending == ()


def test_a_migration_that_was_cut_short_is_run_again(settings: Settings, client: Client):
    client.execute("ALTER TABLE schema_migrations DELETE WHERE version >= 4 SETTINGS mutations_sync = 1")
    client.execute("DROP VIEW alerts_open")
    assert [migration.version for migration in migrate(settings)] == list(
        range(4, len(packaged_migrations()) + 1)
    )
    assert client.execute("EXISTS alerts_open") == [(1,)]


def test_a_changed_file_is_an_error():
    [first, *rest] = packaged_migrations()
    changed = dataclasses.replace(first, text=first.text + "\n-- changed\n")
    with pytest.raises(MigrationError, match=r"migration 1 \(statistics\) was applied with other content"):
        compare([changed, *rest], {1: first.sha256})


def test_a_database_newer_than_the_code_is_an_error():
    known = packaged_migrations()
    recorded = {migration.version: migration.sha256 for migration in known} | {len(known) + 1: "ab"}
    with pytest.raises(MigrationError, match="newer version of mcenter-stream"):
        compare(known, recorded)


def test_the_recorded_hash_is_checked_in_the_database(settings: Settings, client: Client):
    client.execute(
        "ALTER TABLE schema_migrations UPDATE sha256 = 'other' WHERE version = 2 SETTINGS mutations_sync = 1"
    )
    with pytest.raises(MigrationError, match="migration 2"):
        migrate(settings)


REPEATABLE = re.compile(
    r"(?:CREATE (?:TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|CREATE OR REPLACE VIEW|DROP (?:TABLE|VIEW) IF EXISTS) "
    r"\w+ ON CLUSTER `prod`\s"
    r"|ALTER TABLE \w+ ON CLUSTER `prod`\s+"
    r"(?:(?:ADD|DROP|MODIFY|COMMENT) (?:COLUMN|INDEX) IF (?:NOT )?EXISTS|MODIFY (?:TTL|QUERY|SETTING|COMMENT))\s"
)
"""Statements that run on the whole cluster, and are harmless when they run twice."""


@pytest.mark.parametrize(
    ("statement", "fits"),
    [
        ("ALTER TABLE events ON CLUSTER `prod` ADD COLUMN IF NOT EXISTS unit String COMMENT 'Unit.'", True),
        (
            "ALTER TABLE events ON CLUSTER `prod`\n    MODIFY TTL toDateTime(ingested_at) + INTERVAL 1 YEAR",
            True,
        ),
        ("ALTER TABLE events_view ON CLUSTER `prod` MODIFY QUERY SELECT 1", True),
        ("CREATE OR REPLACE VIEW events_open ON CLUSTER `prod` AS SELECT 1", True),
        ("ALTER TABLE events ON CLUSTER `prod` ADD COLUMN unit String", False),
        ("ALTER TABLE events ADD COLUMN IF NOT EXISTS unit String", False),
        ("CREATE TABLE events ON CLUSTER `prod` (a Int8)", False),
    ],
)
def test_migrations_may_create_and_alter_what_may_be_repeated(statement: str, fits: bool):
    assert bool(REPEATABLE.match(statement)) is fits


@pytest.mark.parametrize("migration", packaged_migrations(), ids=lambda migration: migration.name)
def test_on_a_cluster_every_statement_runs_on_it_with_replicated_engines(migration: Migration):
    for statement in migration.statements("prod"):
        assert REPEATABLE.match(statement), statement[:80]
        if "MergeTree" in statement.partition("ENGINE")[2]:
            assert re.search(r"ENGINE = Replicated\w*MergeTree", statement)
            assert "replicated_deduplication_window_seconds = 7776000" in statement
            assert "non_replicated" not in statement
        assert "${" not in statement


@pytest.mark.parametrize("migration", packaged_migrations(), ids=lambda migration: migration.name)
def test_a_columns_comment_stands_before_its_codec(migration: Migration):
    """Servers before 26.9 parse them in this order only."""
    assert not re.search(r"CODEC\(.*\) COMMENT", migration.text)


def test_every_table_and_column_explains_itself(client: Client, settings: Settings):
    database = settings.clickhouse.database
    silent = client.execute(
        "SELECT name FROM system.tables WHERE database = %(database)s AND comment = ''",
        {"database": database},
    )
    assert silent == []
    silent_columns = client.execute(
        """
        SELECT table, name FROM system.columns
        WHERE database = %(database)s AND comment = ''
            AND table IN (SELECT name FROM system.tables WHERE database = %(database)s AND engine LIKE '%%MergeTree')
        """,
        {"database": database},
    )
    assert silent_columns == []


def test_every_table_of_records_keeps_its_lineage_and_is_parted_by_arrival(
    client: Client, settings: Settings
):
    tables = client.execute(
        """
        SELECT name, partition_key FROM system.tables
        WHERE database = %(database)s AND engine LIKE '%%MergeTree' AND name NOT LIKE '%%_state'
            AND name NOT IN ('schema_migrations', 'schema_objects', 'ingested_blocks')
        """,
        {"database": settings.clickhouse.database},
    )
    assert tables
    by_week = {"logs"}
    assert {name for name, key in tables if key != "toYYYYMM(ingested_at)"} == by_week
    assert {key for name, key in tables if name in by_week} == {"toMonday(ingested_at)"}
    for name, _ in tables:
        columns = {row[0] for row in client.execute(f"DESCRIBE TABLE {name}")}
        assert {"ingested_at", "_topic", "_topic_id", "_partition", "_offset"} <= columns


def test_a_database_name_that_needs_quotes_is_created(settings: Settings):
    named = dataclasses.replace(settings.clickhouse, database=f"{settings.clickhouse.database}-with`quote")
    assert migrate(dataclasses.replace(settings, clickhouse=named))


def test_a_block_of_the_largest_size_is_one_part(client: Client):
    """The server may not split what one token covers, or a replay would find half of it."""
    rows = MAX_BLOCK_SAMPLES
    now_ms = time.time_ns() // 1_000_000
    columns = [["t"] * rows, list(range(rows)), [1.0] * rows, [now_ms] * rows, list(range(rows))]
    for _ in range(2):
        client.execute(
            "INSERT INTO statistics (name, event_time, value, ingested_at, _offset) VALUES",
            columns,
            columnar=True,
            settings=_INSERT_SETTINGS | {"insert_deduplication_token": "t", "insert_block_size": rows},
        )
    for table in ("statistics", "statistics_by_day_state"):
        parts = client.execute(
            "SELECT min_block_number = max_block_number FROM system.parts WHERE database = currentDatabase() AND table = %(table)s AND active",
            {"table": table},
        )
        assert parts == [(1,)], table
    assert client.execute("SELECT count() FROM statistics") == [(MAX_BLOCK_SAMPLES,)]


def test_a_database_that_is_away_is_the_drivers_error(settings: Settings):
    away = dataclasses.replace(settings.clickhouse, port=1)
    with pytest.raises(errors.NetworkError):
        migrate(dataclasses.replace(settings, clickhouse=away))
