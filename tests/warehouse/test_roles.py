"""Roles: what each may and may not do, tried as a user who has it.

The packaged engine takes users and roles from a file only, and all its sessions are of one user: that user gets a role, and
the engine starts again for the next one.
"""

from __future__ import annotations

import dataclasses
import re
import time
from types import MappingProxyType
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from clickhouse_driver import errors

from parallelm.connections import Settings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.schemas.topic_admin import create_topics
from parallelm.sinks.ingested_blocks import WRITTEN
from parallelm.sinks.service import wait_for_warehouse
from parallelm.sinks.statistics_rows import ARRAYS
from parallelm.sinks.tables import STORED_TOPICS
from parallelm.warehouse import drift, migrate, status
from parallelm.warehouse.backup import back_up_database, folder_of_server, restore_database
from parallelm.warehouse.catalogue import catalogue
from parallelm.warehouse.cluster import local_table
from parallelm.warehouse.drift import repair
from parallelm.warehouse.erasure import KEPT, OfMLApp, count_rows, delete_rows
from parallelm.warehouse.retention import apply_retention
from parallelm.warehouse.roles import OPERATORS_TABLES, reader_statements, role_statements
from tests.conftest import settings_of_a_test
from tests.mcenter.engine.conftest import PASSWORD, EngineProcess
from tests.sinks.conftest import Platform
from tests.sinks.test_faults import send_statistics
from tests.sinks.test_topics_to_rows import SINGLE_ROWS
from tests.warehouse.erasure_rows import fill
from tests.warehouse.rows import T0_MS, insert, kpi
from tests.warehouse.test_questions import QUESTIONS, insert_history

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clickhouse_driver import Client

GRANT = re.compile(r"GRANT(?: ON CLUSTER \S+)? (?P<right>.+ ON \S+) TO (?P<role>\w+)")
REFUSED = 497
"""ClickHouse's code of an access that is denied."""


class Warehouse:
    """A database of the test's own on an engine whose user has one role at a time."""

    def __init__(self, stack: Settings, folder: Path) -> None:
        self.folder = folder
        self._users = folder / "users.xml"
        config = folder / "config.xml"
        config.write_text(f"<clickhouse><users_config>{self._users}</users_config></clickhouse>")
        self.engine = EngineProcess(folder, "--config", str(config))
        clickhouse = dataclasses.replace(
            stack.clickhouse,
            user="default",
            password=PASSWORD,
            port=self.engine.port,
            http_port=self.engine.http_port,
        )
        self.settings = dataclasses.replace(stack, clickhouse=clickhouse)

    def become(self, *granted: str, policies: Mapping[str, str] = MappingProxyType({})) -> Client:
        """Start the engine again, with a user who has these roles or rights and no others.

        ``policies`` are conditions on the rows that are seen, by table.
        """
        if self.engine.process is not None:
            self.engine.stop()
        database = self.settings.clickhouse.database
        statements = role_statements(database, WRITTEN)
        policies = {f"{database}.{table}": condition for table, condition in policies.items()}
        self._users.write_bytes(users_file(statements, granted, policies))
        self.engine.start()
        return self.engine.client(database=self.settings.clickhouse.database)


def users_file(
    statements: list[str], granted: tuple[str, ...], policies: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    root = ET.Element("clickhouse")
    ET.SubElement(ET.SubElement(root, "profiles"), "default")
    ET.SubElement(ET.SubElement(root, "quotas"), "default")
    known = ET.SubElement(root, "roles")
    for statement in statements:
        if match := GRANT.fullmatch(statement):
            role = known.find(match["role"])
            if role is None:
                role = ET.SubElement(known, match["role"])
                ET.SubElement(role, "grants")
            ET.SubElement(role[0], "query").text = f"GRANT {match['right']}"
    user = ET.SubElement(ET.SubElement(root, "users"), "default")
    ET.SubElement(user, "password")
    ET.SubElement(ET.SubElement(user, "networks"), "ip").text = "::/0"
    grants = ET.SubElement(user, "grants")
    for each in granted:
        ET.SubElement(grants, "query").text = f"GRANT {each}"
    databases = ET.SubElement(user, "databases")
    for place, condition in policies.items():
        database, table = place.split(".")
        of_table = ET.SubElement(ET.SubElement(databases, database), table)
        ET.SubElement(of_table, "filter").text = condition
    return ET.tostring(root)


@pytest.fixture(scope="module")
def warehouse(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("roles")
    with settings_of_a_test(stack, folder) as settings:
        made = Warehouse(settings, folder)
        try:
            made.become("mcenter_admin")
            migrate(made.settings)
            yield made
        finally:
            made.engine.close()


def refused(client: Client, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(errors.ServerException) as raised:
            client.execute(statement)
        assert raised.value.code == REFUSED, statement


OUTSIDE = (
    "CREATE DATABASE other",
    "CREATE USER somebody IDENTIFIED WITH no_password",
    "GRANT SELECT ON *.* TO mcenter_reader",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString', 's String')",
    "SYSTEM DROP MARK CACHE",
)
"""What no role may do."""


def test_an_admin_migrates_repairs_backs_up_and_restores_and_no_more(warehouse: Warehouse) -> None:
    client = warehouse.become("mcenter_admin")
    settings = warehouse.settings
    assert migrate(settings) == []
    client.execute("DROP VIEW alerts_open")
    assert [each.name for each in repair(settings)] == ["alerts_open"]
    shorter = dataclasses.replace(settings.retention, events_days=1)
    assert [each.table for each in apply_retention(dataclasses.replace(settings, retention=shorter))] == [
        "events"
    ]
    assert [each.table for each in apply_retention(settings)] == ["events"]
    assert drift(settings) == []
    insert(client, "kpis", [kpi("k", T0_MS, 1.0)])
    assert delete_rows(settings, OfMLApp("app"), time.time_ns() // 1_000_000) == {"kpis": 1}
    refused(client, *OUTSIDE)
    client = warehouse.become("mcenter_admin", "FILE ON *.*")
    name = settings.clickhouse.database
    place = folder_of_server(str(warehouse.folder / "backup"))
    back_up_database(settings, place)
    client.execute(f"DROP DATABASE {name}")
    restore_database(settings, place, name)
    assert status(settings).pending == ()


def test_a_writer_runs_the_sink_and_changes_nothing_else(warehouse: Warehouse) -> None:
    client = warehouse.become("mcenter_writer")
    create_topics(warehouse.settings)
    platform = Platform(warehouse.settings)
    wait_for_warehouse(warehouse.settings, 1.0, NeverStopped())
    with platform.sink():
        send_statistics(platform, 20)
        for topic in STORED_TOPICS:
            if topic.name in SINGLE_ROWS:
                platform.send(topic, SINGLE_ROWS[topic.name][0])
        for table in {*WRITTEN} - {"statistics", ARRAYS}:
            platform.wait(f"SELECT count() > 0 FROM {table}", 1)
        platform.wait("SELECT count() FROM statistics", 60)
    platform.client.disconnect()
    refused(
        client,
        "INSERT INTO schema_migrations (version) SELECT 99",
        "INSERT INTO statistics_by_day_state (name) SELECT 'x'",
        "SELECT count() FROM statistics_by_day",
        "ALTER TABLE statistics DELETE WHERE 1",
        "ALTER TABLE statistics ADD COLUMN x Int8",
        "TRUNCATE TABLE kpis",
        "DROP TABLE events",
        "DROP VIEW alerts_open",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "OPTIMIZE TABLE events",
        *OUTSIDE,
    )
    client = warehouse.become("mcenter_reader")
    filled = "SELECT (sum(samples), (SELECT count() FROM histograms)) FROM statistics_by_day"
    assert client.execute(filled) == [((60, 2),)]


def test_a_reader_asks_everything_and_changes_nothing(warehouse: Warehouse) -> None:
    client = warehouse.become("mcenter_admin")
    insert_history(client)
    client = warehouse.become("mcenter_reader")
    for question in QUESTIONS.values():
        assert client.execute(question)
    assert status(warehouse.settings).pending == ()
    assert drift(warehouse.settings) == []
    assert len(catalogue(warehouse.settings)) > len(WRITTEN)
    refused(
        client,
        *(f"INSERT INTO {table} (_partition) SELECT 1" for table in WRITTEN),
        "ALTER TABLE kpis DELETE WHERE 1",
        "TRUNCATE TABLE kpis",
        "DROP TABLE events",
        "DROP VIEW alerts_open",
        "CREATE VIEW mine AS SELECT 1",
        f"BACKUP DATABASE {warehouse.settings.clickhouse.database} TO File('/tmp/never')",
        "OPTIMIZE TABLE events",
        *OUTSIDE,
    )


POLICY = re.compile(
    r"CREATE ROW POLICY OR REPLACE (?P<name>`?mcenter_(?:analyst|reader_of_[^`]+)`?) ON `\w+`\.`(?P<table>\w+)` FOR SELECT"
    r" USING (?P<condition>.+) TO (?P=name)"
)
ANSWERS = {
    "alerts_open": "at = now64(3)",
    "live_models": "at = now64(3)",
    "kpis_known_at": "at = now64(3)",
    "kpi_correlation": "mlapp_id = 'other', kpi = 'k'",
    "outcomes_between": "known_at = now64(3), start = toDateTime64(0, 3), end = now64(3)",
}
"""What views with parameters are asked with."""
OPEN = {"schema_migrations", "schema_objects"}
"""Of the database itself: nothing of any MLApp."""


def policies_in(statements: list[str]) -> dict[str, str]:
    return {match["table"]: match["condition"] for each in statements if (match := POLICY.fullmatch(each))}


def rows_seen(settings: Settings, client: Client) -> dict[str, tuple[int, set[str]]]:
    """How many rows a user sees of all tables and views, and of which MLApps, where a column says so."""
    seen = {}
    for relation in catalogue(settings):
        arguments = f"({ANSWERS[relation.name]})" if relation.parameters else ""
        ids = [f"arrayFlatten([{c.name}])" for c in relation.columns if re.search("mlapp_ids?$", c.name)]
        ((count, found),) = client.execute(
            f"SELECT count(), groupUniqArrayArray(arrayConcat([]::Array(String), {', '.join(ids) or '[]'}))"
            f" FROM {relation.name}{arguments}"
        )
        seen[relation.name] = (count, set(found))
    ((dictionaries,),) = client.execute("SELECT count() FROM system.dictionaries")
    assert not dictionaries, "a dictionary shows what it holds past the policies of its source"
    return seen


@pytest.fixture(scope="module")
def of_two_mlapps(warehouse: Warehouse) -> Warehouse:
    """Rows of ``mine`` and of ``other`` in every table."""
    client = warehouse.become("mcenter_admin")
    for mlapp_id in ("mine", "other"):
        fill(client, mlapp_id, time.time_ns() // 1_000_000)
    insert(client, "notifications", [{"mlapp_ids": ["mine", "other"]}])
    client.execute("INSERT INTO ingested_blocks (last_ingested_at) SELECT now64(3)")
    return warehouse


def test_a_reader_of_one_mlapp_sees_its_rows_and_no_others_in_tables_and_views(
    of_two_mlapps: Warehouse,
) -> None:
    settings = of_two_mlapps.settings
    of_it = {*count_rows(settings, OfMLApp("mine"))} - OPERATORS_TABLES
    policies = policies_in(reader_statements(settings, "mine"))
    client = of_two_mlapps.become("mcenter_reader", policies=policies)
    seen = rows_seen(settings, client)
    for name, (count, mlapp_ids) in seen.items():
        assert mlapp_ids <= {"mine"}, name
        if name in of_it:
            assert count == 1, name
    open_ = {name for name, (count, mlapp_ids) in seen.items() if count and not mlapp_ids}
    assert open_ == OPEN
    assert {"statistics_by_day_from_statistics", "statistics_by_hour", "models", "kpis_current"} <= {
        name for name, (count, _) in seen.items() if count
    }
    assert {name for name in seen if name in OPERATORS_TABLES | {"dead_letters"} and seen[name][0]} == set()
    refused(
        client,
        "INSERT INTO events (mlapp_id) VALUES ('mine')",
        "SELECT * FROM mergeTreeIndex(currentDatabase(), 'events')",
        *OUTSIDE,
    )
    assert client.execute("SELECT mlapp_id FROM merge(currentDatabase(), '^events$')") == [("mine",)]


def test_an_analyst_sees_all_mlapps_and_nothing_that_is_for_operators(of_two_mlapps: Warehouse) -> None:
    settings = of_two_mlapps.settings
    policies = policies_in(role_statements(settings.clickhouse.database, WRITTEN))
    assert set(policies) == OPERATORS_TABLES
    everything = rows_seen(settings, of_two_mlapps.become("mcenter_reader"))
    client = of_two_mlapps.become("mcenter_analyst", policies=policies)
    seen = rows_seen(settings, client)
    assert {name for name in seen if seen[name] != everything[name]} == OPERATORS_TABLES | {"dead_letters"}
    assert all(seen[name][0] == 0 for name in OPERATORS_TABLES | {"dead_letters"})
    for question in QUESTIONS.values():
        client.execute(question)
    refused(client, "INSERT INTO events (mlapp_id) VALUES ('mine')", *OUTSIDE)


def test_a_reader_of_one_mlapp_is_sql_that_the_engine_takes(settings: Settings, client: Client) -> None:
    for cluster in ("", "prod"):
        own = dataclasses.replace(
            settings, clickhouse=dataclasses.replace(settings.clickhouse, cluster=cluster)
        )
        statements = reader_statements(own, "it's `mine` \\ 100%")
        for statement in statements:
            [(formatted,)] = client.execute("SELECT formatQuery(%(statement)s)", {"statement": statement})
            assert ("ON CLUSTER" in formatted) is bool(cluster)
        tables = {
            match[1] for each in statements if (match := re.search(r" ON `\w+`\.`(\w+)` FOR SELECT", each))
        }
        assert tables >= set(KEPT) | {"statistics", "dead_letters_log"}
        assert ("statistics_local" in tables) is bool(cluster)


class NeverStopped:
    """A process that nobody stops."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float, /) -> bool:
        raise AssertionError(f"the warehouse was not ready, and the sink waits {timeout} s")


@pytest.mark.parametrize("cluster", ["", "prod"])
def test_the_engine_takes_every_statement(settings: Settings, client: Client, cluster: str) -> None:
    statements = role_statements(settings.clickhouse.database, WRITTEN, cluster)
    for statement in statements:
        [(formatted,)] = client.execute("SELECT formatQuery(%(statement)s)", {"statement": statement})
        assert ("ON CLUSTER" in formatted) is bool(cluster)
    written = {
        match[1]
        for each in statements
        if (match := re.search(r"INSERT ON \S+`\.`(\w+)` TO mcenter_writer", each))
    }
    assert written == {local_table(table, cluster) for table in WRITTEN}


def test_on_a_cluster_an_admin_makes_distributed_tables(stack: Settings, tmp_path: Path) -> None:
    warehouse = Warehouse(stack, tmp_path)
    statements = [
        each.replace(" ON CLUSTER `prod`", "")
        for each in role_statements(warehouse.settings.clickhouse.database, WRITTEN, "prod")
    ]
    (tmp_path / "users.xml").write_bytes(users_file(statements, ("mcenter_admin",)))
    (tmp_path / "config.xml").write_text(
        f"<clickhouse><users_config>{tmp_path / 'users.xml'}</users_config><remote_servers><prod><shard><replica>"
        "<host>127.0.0.1</host><port>1</port></replica></shard></prod></remote_servers></clickhouse>"
    )
    try:
        warehouse.engine.start()
        migrate(warehouse.settings)
        client = warehouse.engine.client(database=warehouse.settings.clickhouse.database)
        client.execute(
            "CREATE TABLE all_events AS events ENGINE = Distributed('prod', currentDatabase(), 'events')"
        )
    finally:
        warehouse.engine.close()


def test_the_command_prints_them_also_before_there_is_a_database(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mcenter.toml"
    save_settings(settings, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))
    printed = CliRunner().invoke(cli, ["warehouse", "roles"])
    assert printed.exit_code == 0, printed.output
    assert printed.output.startswith("CREATE ROLE IF NOT EXISTS mcenter_reader;\n")
    assert (
        f"GRANT SELECT, INSERT ON `{settings.clickhouse.database}`.`kpis` TO mcenter_writer;"
        in printed.output
    )
