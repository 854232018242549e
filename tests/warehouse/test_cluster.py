"""The warehouse on a cluster: one set of migrations, local tables and those over them, and the same answers.

The packaged engine creates replicated tables in a real ZooKeeper, and reads Distributed tables of one shard. It has no
replication between hosts, no distributed DDL, and its server sends no half-aggregated answers, which several shards need.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from clickhouse_driver import errors

from parallelm.connections import Settings, save_settings
from parallelm.mcenter.cli import cli
from parallelm.mcenter.doctor.check import Verdict
from parallelm.mcenter.doctor.warehouse import warehouse_checks
from parallelm.sinks.tables import STORED_TOPICS, counted_in
from parallelm.warehouse import MigrationError, migrate, status
from parallelm.warehouse.catalogue import catalogue
from parallelm.warehouse.cluster import SHARDED, local_table, render
from parallelm.warehouse.migrations import Migration, all_statements, name_in, packaged_migrations
from tests.clickhouse_cluster import run_on_this_host, running_hosts, without_replication
from tests.warehouse.test_questions import QUESTIONS, insert_history
from tests.zookeeper import running_zookeeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_driver import Client

    from tests.clickhouse_cluster import Host


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "CREATE TABLE IF NOT EXISTS statistics ${on_cluster}\n(a Int8)\nENGINE = ${replicated}MergeTree\nORDER BY a\nCOMMENT 'It\\'s one.'",
            [
                (
                    "CREATE TABLE IF NOT EXISTS statistics_local ON CLUSTER `prod`\n(a Int8)\n"
                    "ENGINE = ReplicatedMergeTree('/clickhouse/mcenter/prod/{database}/{table}/{shard}', '{replica}')\n"
                    "ORDER BY a\nCOMMENT 'It\\'s one.'"
                ),
                (
                    "CREATE TABLE IF NOT EXISTS statistics ON CLUSTER `prod` AS statistics_local\n"
                    "ENGINE = Distributed('prod', currentDatabase(), 'statistics_local')\nCOMMENT 'It\\'s one.'"
                ),
            ],
        ),
        (
            "CREATE TABLE IF NOT EXISTS events ${on_cluster} (a Int8)\nENGINE = ${replicated}ReplacingMergeTree(a)\nORDER BY a",
            [
                (
                    "CREATE TABLE IF NOT EXISTS events ON CLUSTER `prod` (a Int8)\n"
                    "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/mcenter/prod/{database}/{table}', '{shard}-{replica}', a)\n"
                    "ORDER BY a"
                )
            ],
        ),
        (
            "CREATE MATERIALIZED VIEW IF NOT EXISTS histograms_from_structured_statistics ${on_cluster} TO histograms AS SELECT a FROM structured_statistics",
            [
                "CREATE MATERIALIZED VIEW IF NOT EXISTS histograms_from_structured_statistics ON CLUSTER `prod` TO histograms_local AS SELECT a FROM structured_statistics_local"
            ],
        ),
        (
            "CREATE OR REPLACE VIEW v ${on_cluster} AS SELECT a FROM statistics",
            ["CREATE OR REPLACE VIEW v ON CLUSTER `prod` AS SELECT a FROM statistics"],
        ),
        (
            "ALTER TABLE statistics ${on_cluster} ADD COLUMN IF NOT EXISTS unit String",
            [
                "ALTER TABLE statistics_local ON CLUSTER `prod` ADD COLUMN IF NOT EXISTS unit String",
                "ALTER TABLE statistics ON CLUSTER `prod` ADD COLUMN IF NOT EXISTS unit String",
            ],
        ),
        (
            "ALTER TABLE statistics ${on_cluster} ADD INDEX IF NOT EXISTS i a TYPE minmax",
            ["ALTER TABLE statistics_local ON CLUSTER `prod` ADD INDEX IF NOT EXISTS i a TYPE minmax"],
        ),
        (
            "ALTER TABLE kpis ${on_cluster} ADD COLUMN IF NOT EXISTS unit String",
            ["ALTER TABLE kpis ON CLUSTER `prod` ADD COLUMN IF NOT EXISTS unit String"],
        ),
        (
            "DROP TABLE IF EXISTS predictions ${on_cluster}",
            [
                "DROP TABLE IF EXISTS predictions_local ON CLUSTER `prod`",
                "DROP TABLE IF EXISTS predictions ON CLUSTER `prod`",
            ],
        ),
    ],
)
def test_a_statement_becomes_what_a_cluster_needs(statement: str, expected: list[str]) -> None:
    assert render(statement, "prod") == expected


@pytest.mark.parametrize("migration", packaged_migrations(), ids=lambda migration: migration.name)
def test_the_plain_name_is_the_one_to_read_and_the_local_one_the_one_to_write(migration: Migration) -> None:
    for statement in migration.statements("prod"):
        if statement.startswith("CREATE TABLE"):
            is_local = name_in(statement).endswith("_local")
            assert ("ENGINE = Distributed" in statement) is (name_in(statement) in SHARDED)
            assert is_local is ("/{shard}'" in statement)
        if statement.startswith("CREATE MATERIALIZED VIEW"):
            named = set(re.findall(r"\b(?:TO|FROM) (\w+)", statement))
            assert not named & SHARDED, statement
        if statement.startswith("CREATE VIEW"):
            assert "_local" not in statement


def test_every_table_that_is_sharded_is_made_by_a_migration() -> None:
    made = {name for migration in packaged_migrations() for name in migration.names("prod")}
    assert {local_table(name, "prod") for name in SHARDED} | SHARDED <= made
    assert {local_table(counted_in(topic), "prod") for topic in STORED_TOPICS} <= made


def test_the_engine_parses_every_statement(client: Client, settings: Settings) -> None:
    statements = all_statements(_on_cluster(settings).clickhouse)
    for statement in statements:
        [(parsed, *_), *_] = client.execute(f"EXPLAIN AST {statement}")
        assert parsed.startswith(("CreateQuery", "UseQuery")), statement
    assert sum("ON CLUSTER `prod`" in statement for statement in statements) == len(statements) - 1


def test_a_database_of_one_server_is_not_taken_for_one_on_a_cluster(
    settings: Settings, client: Client
) -> None:
    with pytest.raises(MigrationError, match="made on one server, not on cluster 'prod'"):
        status(_on_cluster(settings))
    with pytest.raises(MigrationError, match="made on one server"):
        migrate(_on_cluster(settings))
    client.execute("SELECT 1")


def test_the_command_prints_the_sql_of_a_cluster_and_asks_no_server(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = dataclasses.replace(settings, clickhouse=dataclasses.replace(settings.clickhouse, port=1))
    save_settings(away, tmp_path / "mcenter.toml")
    monkeypatch.setenv("MCENTER_CONFIG", str(tmp_path / "mcenter.toml"))
    plain = CliRunner().invoke(cli, ["warehouse", "sql"])
    assert plain.exit_code == 0, plain.output
    assert "CLUSTER" not in plain.output
    printed = CliRunner().invoke(cli, ["warehouse", "sql", "--cluster", "prod"])
    assert printed.output.startswith(
        f"CREATE DATABASE IF NOT EXISTS `{settings.clickhouse.database}` ON CLUSTER `prod`;\n"
    )
    assert printed.output.count("ENGINE = Distributed('prod', currentDatabase(), ") == len(SHARDED)


def _on_cluster(settings: Settings, cluster: str = "prod") -> Settings:
    return dataclasses.replace(settings, clickhouse=dataclasses.replace(settings.clickhouse, cluster=cluster))


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """Two hosts, each a shard of ``prod``; ``alone`` is the first of them by itself. They share a ZooKeeper."""
    folder = tmp_path_factory.mktemp("cluster")
    clusters = {"prod": ("a", "b"), "alone": ("a",)}
    with (
        running_zookeeper(folder / "zookeeper") as keeper_port,
        running_hosts(folder, ("a", "b"), clusters, keeper_port) as hosts,
    ):
        yield hosts


@pytest.mark.keeper
def test_in_keeper_small_tables_meet_on_all_hosts_and_shards_stay_apart(hosts: list[Host]) -> None:
    for host in hosts:
        clickhouse = dataclasses.replace(host.clickhouse, database="kept", cluster="prod")
        run_on_this_host(host.engine.client(), clickhouse)
    client = hosts[1].engine.client(database="kept")
    replicas = dict(
        client.execute("SELECT table, total_replicas FROM system.replicas WHERE database = 'kept'")
    )
    local = {local_table(name, "prod") for name in SHARDED}
    assert {name: count for name, count in replicas.items() if name in local} == dict.fromkeys(local, 1)
    assert {count for name, count in replicas.items() if name not in local} == {2}
    paths = client.execute(
        "SELECT zookeeper_path, replica_name FROM system.replicas WHERE table = 'statistics_local'"
    )
    assert paths == [("/clickhouse/mcenter/prod/kept/statistics_local/b", "1")]


@pytest.mark.keeper
def test_what_the_docs_say_that_the_packaged_engine_cannot_do_it_cannot(hosts: list[Host]) -> None:
    client = hosts[0].engine.client()
    with pytest.raises(errors.ServerException, match="Replicated DDL queries are disabled"):
        client.execute("CREATE DATABASE other ON CLUSTER prod")
    client.execute("CREATE TABLE t (a Int8) ENGINE = ReplicatedMergeTree('/t', '{shard}') ORDER BY a")
    assert client.execute("SELECT is_readonly FROM system.replicas WHERE table = 't'") == [(1,)]
    client.execute("CREATE TABLE plain (a Int8) ENGINE = MergeTree ORDER BY a")
    client.execute("CREATE TABLE shards AS plain ENGINE = Distributed('prod', currentDatabase(), 'plain')")
    hosts[1].engine.client().execute("CREATE TABLE plain (a Int8) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(errors.ServerException, match="Distributed table of several shards is not supported"):
        client.execute("SELECT sum(a) FROM shards")


@pytest.mark.keeper
@pytest.mark.parametrize(
    ("cluster", "shards", "verdict", "finding"),
    [
        ("prod", "a = h1; b = h2", Verdict.OK, "sinks write to 2, and cluster 'prod' reads as many"),
        ("alone", "", Verdict.OK, "sinks write to 1, and cluster 'alone' reads as many"),
        ("prod", "", Verdict.PROBLEM, "sinks write to 1, cluster 'prod' reads 2"),
        ("prod", "a = h1; b = h2; c = h3", Verdict.PROBLEM, "sinks write to 3, cluster 'prod' reads 2"),
        ("other", "", Verdict.PROBLEM, "knows no cluster 'other'"),
        ("prod", "a", Verdict.PROBLEM, "cannot be checked"),
        ("", "a = h1; b = h2", Verdict.NOTE, "2 shards, each of which is read by itself"),
    ],
)
def test_the_doctor_compares_the_shards_that_are_written_with_those_that_are_read(
    hosts: list[Host], cluster: str, shards: str, verdict: Verdict, finding: str
) -> None:
    clickhouse = dataclasses.replace(hosts[0].clickhouse, database="default", cluster=cluster, shards=shards)
    [check] = [
        each for each in warehouse_checks(Settings(clickhouse=clickhouse), 60) if each.name == "shards"
    ]
    assert check.verdict is verdict
    assert finding in check.finding


@pytest.fixture(scope="module")
def both_histories(hosts: list[Host]) -> tuple[Client, Client]:
    """The same rows on one server, and behind Distributed tables."""
    host = hosts[0]
    one = dataclasses.replace(host.clickhouse, database="one")
    clustered = dataclasses.replace(host.clickhouse, database="clustered", cluster="alone")
    run_on_this_host(host.engine.client(), one)
    run_on_this_host(host.engine.client(), clustered, without_replication)
    client = host.engine.client(database="one")
    insert_history(client)
    for (table,) in client.execute(
        "SELECT name FROM system.tables WHERE database = 'one' AND engine LIKE '%MergeTree' AND name NOT LIKE '%_state'"
    ):
        client.execute(f"INSERT INTO clustered.{local_table(table, 'alone')} SELECT * FROM one.{table}")
    return client, host.engine.client(database="clustered")


@pytest.mark.keeper
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_the_same_answer_on_a_cluster(
    both_histories: tuple[Client, Client], question: str
) -> None:
    one, clustered = both_histories
    expected = one.execute(QUESTIONS[question])
    assert expected
    assert repr(clustered.execute(QUESTIONS[question])) == repr(expected)


@pytest.mark.keeper
@pytest.mark.usefixtures("both_histories")
def test_no_view_and_no_question_joins_shards_with_shards(hosts: list[Host]) -> None:
    """ClickHouse refuses that when it plans the query, before it asks a shard."""
    clickhouse = dataclasses.replace(hosts[0].clickhouse, database="two_shards", cluster="prod")
    for host in hosts:
        run_on_this_host(host.engine.client(), clickhouse, without_replication)
    client = hosts[0].engine.client(database="two_shards")
    with pytest.raises(errors.ServerException, match="Double-distributed"):
        client.execute("EXPLAIN SELECT count() FROM statistics WHERE name IN (SELECT name FROM histograms)")
    for question in QUESTIONS.values():
        plan(client, question)
    for view in (each for each in catalogue(Settings(clickhouse=clickhouse)) if each.kind == "view"):
        arguments = ", ".join(
            f"{name} = {'2013-01-01 00:00:00' if 'Date' in kind else ''!r}" for name, kind in view.parameters
        )
        plan(client, f"SELECT * FROM {view.name}{f'({arguments})' if arguments else ''}")


def plan(client: Client, question: str) -> None:
    """Plan a question; what is answered for the plan already, a subquery for one value, this server refuses."""
    try:
        client.execute(f"EXPLAIN {question}")
    except errors.ServerException as error:
        if error.code != errors.ErrorCodes.NOT_IMPLEMENTED:
            raise
