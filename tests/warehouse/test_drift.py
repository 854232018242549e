"""What was changed by hand is seen and named; views come back, tables stay as they are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from parallelm.warehouse import MigrationError, drift, migrate, server_version
from parallelm.warehouse.drift import accept, make_empty, repair
from parallelm.warehouse.errors import ServerTooOldError
from parallelm.warehouse.migrations import status
from parallelm.warehouse.server_version import check_version

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

SAMPLE = (
    "INSERT INTO statistics (name, event_time, value, ingested_at, _offset)"
    " SELECT 's', fromUnixTimestamp64Milli(toInt64(1e12)), {n}, now(), {n}"
)


def reported(settings: Settings) -> list[str]:
    return [str(difference) for difference in drift(settings)]


def test_a_fresh_warehouse_is_what_its_migrations_made_for_who_only_reads_too(
    settings: Settings, client: Client
) -> None:
    reader = dataclasses.replace(
        settings, clickhouse=dataclasses.replace(settings.clickhouse, read_only=True)
    )
    assert drift(settings) == drift(reader) == []
    assert migrate(settings) == []
    own = {name for (name,) in client.execute("SHOW TABLES")} - {"schema_migrations", "schema_objects"}
    recorded = {name for (name,) in client.execute("SELECT DISTINCT name FROM schema_objects")}
    assert recorded == own


def test_a_view_that_was_dropped_or_changed_is_named_and_put_back(settings: Settings, client: Client) -> None:
    client.execute("DROP VIEW kpi_correlation")
    client.execute("CREATE OR REPLACE VIEW kpis_current AS SELECT 1 AS one")
    missing, altered = reported(settings)
    assert missing == "view kpi_correlation is missing. `mcenter warehouse repair` puts it back"
    assert altered.startswith("view kpis_current is altered: ")
    assert "+ `one` UInt8" in altered

    assert sorted(each.name for each in repair(settings)) == ["kpi_correlation", "kpis_current"]
    assert drift(settings) == []
    assert client.execute("SELECT count() FROM kpis_current") == [(0,)]
    assert client.execute("SELECT count() FROM system.columns WHERE table = 'kpi_correlation'")


def test_a_materialized_view_that_is_missing_says_since_when_its_table_is_incomplete(
    settings: Settings, client: Client
) -> None:
    client.execute(SAMPLE.format(n=1))
    ((newest,),) = client.execute("SELECT max(last_ingested_at) FROM statistics_by_day_state")
    client.execute("DROP VIEW statistics_by_day_from_statistics")
    client.execute(SAMPLE.format(n=2))
    [said] = reported(settings)
    assert said.startswith("materialized view statistics_by_day_from_statistics is missing: ")
    assert f"statistics_by_day_state is incomplete since {newest:%Y-%m-%d %H:%M:%S} UTC" in said

    [put_back] = repair(settings)
    assert put_back.name == "statistics_by_day_from_statistics"
    assert drift(settings) == []
    client.execute(SAMPLE.format(n=3))
    assert client.execute("SELECT sum(samples) FROM statistics_by_day") == [(2,)]
    assert client.execute("SELECT sum(value) FROM statistics") == [(6,)]


def test_a_materialized_view_that_was_changed_fills_its_table_again(
    settings: Settings, client: Client
) -> None:
    view = "statistics_by_day_from_statistics"
    ((text,),) = client.execute(
        f"SELECT as_select FROM system.tables WHERE name = '{view}' AND database = currentDatabase()"
    )
    client.execute(f"DROP VIEW {view}")
    doubled = text.replace("countIf(isFinite(value)) AS n", "2 * countIf(isFinite(value)) AS n")
    client.execute(f"CREATE MATERIALIZED VIEW {view} TO statistics_by_day_state AS {doubled}")
    [said] = reported(settings)
    assert f"{view} is altered" in said
    assert "2 *" in said
    repair(settings)
    client.execute(SAMPLE.format(n=5))
    assert client.execute("SELECT samples FROM statistics_by_day") == [(1,)]


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("ALTER TABLE kpis ADD COLUMN extra String", "+ `extra` String"),
        ("ALTER TABLE kpis DROP COLUMN source", "- `source` "),
        ("ALTER TABLE kpis MODIFY COLUMN value Nullable(Float64)", "Nullable(Float64)"),
        ("ALTER TABLE kpis RENAME COLUMN value TO amount", "+ `amount` Float64"),
        ("ALTER TABLE kpis MODIFY SETTING non_replicated_deduplication_window = 0", "non_replicated_deduplication_window = 0"),
    ],
)  # fmt: skip
def test_a_changed_table_is_reported_and_left_alone(
    settings: Settings, client: Client, change: str, shown: str
) -> None:
    client.execute(change)
    before = client.execute("SHOW CREATE TABLE kpis")
    [said] = [line for line in reported(settings) if line.startswith("table kpis is altered")]
    assert shown in said
    assert "Change it back by hand, or accept it: `mcenter warehouse repair --accept kpis`" in said
    assert repair(settings) == []
    assert client.execute("SHOW CREATE TABLE kpis") == before
    assert accept(settings, ["kpis"]) == ["kpis"]
    assert drift(settings) == []


def test_another_engine_or_order_is_a_change_and_another_ttl_is_not(
    settings: Settings, client: Client
) -> None:
    client.execute("ALTER TABLE events MODIFY TTL toDateTime(ingested_at) + INTERVAL 9 YEAR")
    assert drift(settings) == []
    client.execute("ALTER TABLE statistics REMOVE TTL")
    assert drift(settings) == []
    client.execute("DROP TABLE kpis SYNC")
    client.execute("CREATE TABLE kpis (kpi String) ENGINE = Log")
    assert any(line.startswith("table kpis is altered") for line in reported(settings))
    assert [each.repairable for each in drift(settings) if each.name == "kpis"] == [False]


def test_a_missing_table_is_never_silently_made_again(settings: Settings, client: Client) -> None:
    client.execute("DROP TABLE kpis SYNC")
    assert any(line.startswith("table kpis is missing: its rows are lost") for line in reported(settings))
    repair(settings)
    assert migrate(settings) == []
    assert client.execute("EXISTS TABLE kpis") == [(0,)]

    make_empty(settings, "kpis")
    assert drift(settings) == []
    with pytest.raises(MigrationError, match="not a missing table"):
        make_empty(settings, "kpis")
    with pytest.raises(MigrationError, match="not a missing table"):
        make_empty(settings, "nonsense")


def test_a_table_in_the_place_of_a_view_is_not_dropped(settings: Settings, client: Client) -> None:
    client.execute("DROP VIEW kpi_correlation")
    client.execute("CREATE TABLE kpi_correlation (n Int8) ENGINE = Log")
    [difference] = drift(settings)
    assert (difference.name, difference.repairable) == ("kpi_correlation", False)
    assert repair(settings) == []


def test_tables_of_others_are_nobodys_business(settings: Settings, client: Client) -> None:
    client.execute("CREATE TABLE my_notes (n Int8) ENGINE = Log")
    assert drift(settings) == []
    with pytest.raises(MigrationError, match="no migration makes 'my_notes'"):
        accept(settings, ["my_notes"])


def test_without_the_records_nothing_is_taken_for_right(settings: Settings, client: Client) -> None:
    client.execute("DROP TABLE schema_objects SYNC")
    assert (
        "schema_objects is missing: there is no record of actions, actuals, agents, " in reported(settings)[0]
    )
    assert migrate(settings) == []
    assert "cannot be compared. Look at them yourself" in reported(settings)[0]
    assert "kpis" in accept(settings, ["all"])
    assert drift(settings) == []


def test_running_a_migration_again_does_not_take_a_change_for_right(
    settings: Settings, client: Client
) -> None:
    client.execute("ALTER TABLE kpis ADD COLUMN extra String")
    client.execute("ALTER TABLE schema_migrations DELETE WHERE version >= 5 SETTINGS mutations_sync = 1")
    assert migrate(settings)
    assert any("kpis is altered" in line for line in reported(settings))


def test_an_old_server_is_refused_with_what_is_needed(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.execute("SELECT 1") == [(1,)]
    monkeypatch.setattr(server_version, "MINIMUM", (99, 1))
    for ask in (migrate, status, drift):
        with pytest.raises(
            ServerTooOldError, match=r"ClickHouse 2\d\.\d+.* is too old: the warehouse needs 99\.1"
        ):
            ask(settings)


@pytest.mark.parametrize(
    ("version", "is_enough"),
    [
        ("25.5.10.95", False),
        ("25.7.9", False),
        ("24.12.1.1", False),
        ("25.8.1.1", True),
        ("v25.8.16-lts", True),
        ("25.10.1.1", True),
        ("26.1.2.1", True),
        ("25.8.16.10001.altinitystable", True),
        ("custom", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, is_enough: bool) -> None:
    if is_enough:
        check_version(version, (25, 8))
        return
    with pytest.raises(ServerTooOldError, match=r"needs 25\.8 or newer"):
        check_version(version, (25, 8))
