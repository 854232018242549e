"""Numbered SQL files beside this one, applied in order and recorded with their hash in ``schema_migrations``.

The definition of each table and view that they make is recorded in ``schema_objects``, as the server prints it, so
that ``drift`` can find manual changes.

Every statement must be harmless when it runs twice (``IF NOT EXISTS``): so two processes may migrate at once, and a
migration that was cut short is simply run again. An applied file never changes; further changes go into a new file.
The files are ``string.Template``s: ``${on_cluster}``, ``${replicated}`` and ``${insert_settings}`` are what
differs between one server and a cluster; the module ``cluster`` makes the statements for either of them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.cluster import on_cluster, render
from parallelm.warehouse.errors import MigrationError
from parallelm.warehouse.server_version import require_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clickhouse_driver import Client

    from parallelm.connections import ClickHouseSettings, Settings

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_RECORDING = {"async_insert": 0, "insert_deduplicate": 0}
"""Two processes that migrate at once both leave a record: the engine would drop the second of two equal blocks."""

_OBJECTS = re.compile(
    r"(?:CREATE|CREATE OR REPLACE|ALTER|DROP|REPLACE) (?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF (?:NOT )?EXISTS )?(\w+)"
)

_FORMS = """\
CREATE TABLE IF NOT EXISTS schema_objects ${on_cluster}
(
    name String COMMENT 'Table or view.',
    version UInt32 COMMENT 'Number of the migration that made or changed it.',
    accepted Bool COMMENT 'False: as the migration made it. True: a manual change, accepted later.',
    engine String COMMENT 'Its engine; empty when the migration removed it.',
    create_query String COMMENT 'Its definition as the server shows it.',
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When this was recorded.'
)
ENGINE = ${replicated}MergeTree
ORDER BY (name, version)
COMMENT 'Definitions of tables and views as the migrations made them, to find manual changes.'
"""

_RECORDS = """\
CREATE TABLE IF NOT EXISTS schema_migrations ${on_cluster}
(
    version UInt32 COMMENT 'Number of the migration.',
    name String COMMENT 'Its name.',
    sha256 String COMMENT 'SHA-256 of its file when it was applied.',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied.'
)
ENGINE = ${replicated}MergeTree
ORDER BY version
COMMENT 'Which migrations of the warehouse were applied.'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the file, before rendering."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, cluster: str) -> list[str]:
        """Its statements, rendered for one server (``cluster`` empty) or for a cluster."""
        return render(self.text, cluster)

    def names(self, cluster: str) -> list[str]:
        """Tables and views that it makes or changes."""
        return sorted({name_in(statement) for statement in self.statements(cluster)} - {""})

    def statements_on(self, name: str, cluster: str) -> list[str]:
        """Those of its statements that make or change one table or view."""
        return [statement for statement in self.statements(cluster) if name_in(statement) == name]


def name_in(statement: str) -> str:
    """Table or view that a statement makes or changes; empty for any other statement."""
    match = _OBJECTS.match(statement)
    return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Which of this code's migrations the database has."""

    applied: tuple[Migration, ...]
    pending: tuple[Migration, ...]


def packaged_migrations() -> list[Migration]:
    """All migrations of this code, by number; raises ``MigrationError`` for a gap or a wrong file name."""
    migrations = []
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".sql"):
            match = _FILE_NAME.fullmatch(file.name)
            if match is None:
                raise MigrationError(f"migration {file.name!r} is not named like 0001_what_it_does.sql")
            migrations.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    migrations.sort(key=lambda migration: migration.version)
    if [migration.version for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError("the numbers of the migrations must run from 1 without gap or repetition")
    return migrations


def migrate(settings: Settings) -> list[Migration]:
    """Create the database if it is absent and apply what is pending; returns what was applied.

    Raises ``MigrationError`` when an applied file has changed, the database is newer than this code, or it is on one server
    where a cluster is named or the other way round; and ``ServerTooOldError``.
    """
    clickhouse = settings.clickhouse
    status(settings)
    _create_database(clickhouse)
    client = clickhouse_client(clickhouse)
    try:
        make_records(client, clickhouse.cluster)
        pending = compare(packaged_migrations(), _recorded(client)).pending
        for migration in pending:
            _apply(client, migration, clickhouse.cluster)
        return list(pending)
    finally:
        client.disconnect()


def status(settings: Settings) -> MigrationStatus:
    """What is applied and what is pending, without changing anything; raises as ``migrate``."""
    client = clickhouse_client(settings.clickhouse, database="default")
    try:
        require_server(client)
        engines = client.execute(
            "SELECT engine FROM system.tables WHERE database = %(database)s AND name = 'schema_migrations'",
            {"database": settings.clickhouse.database},
        )
    finally:
        client.disconnect()
    _check_cluster(settings.clickhouse, [engine for (engine,) in engines])
    if not engines:
        return MigrationStatus((), tuple(packaged_migrations()))
    client = clickhouse_client(settings.clickhouse)
    try:
        return compare(packaged_migrations(), _recorded(client))
    finally:
        client.disconnect()


def compare(packaged: Sequence[Migration], recorded: Mapping[int, str]) -> MigrationStatus:
    """Compare ``packaged`` with ``recorded`` (number to SHA-256); raises ``MigrationError`` where they disagree."""
    by_version = {migration.version: migration for migration in packaged}
    for version, sha256 in sorted(recorded.items()):
        if version not in by_version:
            raise MigrationError(
                f"the database has migration {version}, this code ends at {max(by_version, default=0)}: "
                "it was migrated by a newer version of mcenter-stream; upgrade this installation"
            )
        if by_version[version].sha256 != sha256:
            raise MigrationError(
                f"migration {version} ({by_version[version].name}) was applied with other content "
                f"(SHA-256 {sha256[:12]}…, the file has {by_version[version].sha256[:12]}…): "
                "an applied file must not change; restore it and put the change into a new file"
            )
    return MigrationStatus(
        tuple(migration for migration in packaged if migration.version in recorded),
        tuple(migration for migration in packaged if migration.version not in recorded),
    )


def _check_cluster(clickhouse: ClickHouseSettings, engines: Sequence[str]) -> None:
    """Raise ``MigrationError`` when the tables were made for one server and a cluster is named, or the other way round."""
    for engine in engines:
        is_cluster = engine.startswith("Replicated")
        if is_cluster and not clickhouse.cluster:
            raise MigrationError(
                f"database {clickhouse.database!r} lies on a cluster: name it with MCENTER_CLICKHOUSE_CLUSTER, or "
                "[clickhouse] cluster in mcenter.toml"
            )
        if clickhouse.cluster and not is_cluster:
            raise MigrationError(
                f"database {clickhouse.database!r} was made on one server, not on cluster {clickhouse.cluster!r}: name "
                "another database in MCENTER_CLICKHOUSE_DATABASE and copy its rows, or leave the cluster's name out"
            )


def _apply(client: Client, migration: Migration, cluster: str) -> None:
    for statement in migration.statements(cluster):
        client.execute(statement)
    record_forms(client, migration.version, migration.names(cluster))
    client.execute(
        "INSERT INTO schema_migrations (version, name, sha256) VALUES",
        [(migration.version, migration.name, migration.sha256)],
        settings=_RECORDING,
    )


def make_records(client: Client, cluster: str) -> None:
    """Make the two tables in which migrations are recorded, where they are missing."""
    for table in (_RECORDS, _FORMS):
        for statement in render(table, cluster):
            client.execute(statement)


def record_forms(client: Client, version: int, names: Sequence[str], *, accepted: bool = False) -> None:
    """Record the current definitions of these tables and views; one that is missing is recorded as removed."""
    found = client.execute(
        "SELECT name, engine, create_table_query FROM system.tables"
        " WHERE database = currentDatabase() AND name IN %(names)s",
        {"names": list(names)},
    )
    forms = dict.fromkeys(names, ("", "")) | {name: (engine, text) for name, engine, text in found}
    client.execute(
        "INSERT INTO schema_objects (name, version, accepted, engine, create_query) VALUES",
        [(name, version, accepted, *form) for name, form in forms.items()],
        settings=_RECORDING,
    )


def _recorded(client: Client) -> dict[int, str]:
    rows = client.execute(
        "SELECT version, argMin(sha256, applied_at) FROM schema_migrations GROUP BY version"
    )
    return dict(rows)


def all_statements(clickhouse: ClickHouseSettings) -> list[str]:
    """Every statement that ``migrate`` executes in an empty ClickHouse, the records of what was applied excepted."""
    texts = [_RECORDS, _FORMS, *(migration.text for migration in packaged_migrations())]
    tables = [statement for text in texts for statement in render(text, clickhouse.cluster)]
    return [_database_statement(clickhouse), f"USE {_name(clickhouse)}", *tables]


def _create_database(clickhouse: ClickHouseSettings) -> None:
    client = clickhouse_client(clickhouse, database="default")
    try:
        require_server(client)
        client.execute(_database_statement(clickhouse))
    finally:
        client.disconnect()


def _database_statement(clickhouse: ClickHouseSettings) -> str:
    return f"CREATE DATABASE IF NOT EXISTS {_name(clickhouse)} {on_cluster(clickhouse.cluster)}".strip()


def _name(clickhouse: ClickHouseSettings) -> str:
    return f"`{clickhouse.database.replace('`', '``')}`"
