"""Numbered SQL files beside this one, applied in order and recorded with their hash in ``schema_migrations``.

The definition of each table and view that they make is recorded in ``schema_objects``, as the server prints it, so
that ``drift`` can find manual changes.

Every statement must be harmless when it runs twice (``IF NOT EXISTS``): so two processes may migrate at once, and a
migration that was cut short is simply run again. An applied file never changes; further changes go into a new file.
The files are ``string.Template``s: ``${on_cluster}``, ``${replicated}`` and ``${deduplication_window}`` are the
differences between one server and a cluster.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.errors import MigrationError
from parallelm.warehouse.server_version import require_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clickhouse_driver import Client

    from parallelm.connections import ClickHouseSettings, Settings

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

DEDUPLICATION_WINDOW = 100_000
"""Insert tokens that each table remembers; ``0001_statistics.sql`` explains the number."""

_RECORDING = {"async_insert": 0, "insert_deduplicate": 0}
"""Two processes that migrate at once both leave a record: the engine would drop the second of two equal blocks."""

DEDUPLICATION_WINDOW_S = 90 * 86_400
"""Replicated tables also forget by age: not before the longest retention of a topic that is not compacted."""

_OBJECTS = re.compile(
    r"(?:CREATE|CREATE OR REPLACE|ALTER|DROP|REPLACE) (?:TABLE|VIEW|MATERIALIZED VIEW) (?:IF (?:NOT )?EXISTS )?(\w+)"
)

_FORMS = Template("""\
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
""")

_RECORDS = Template("""\
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
""")


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
        rendered = _render(Template(self.text), cluster)
        without_comments = "\n".join(line for line in rendered.splitlines() if not line.startswith("--"))
        return [statement.strip() for statement in without_comments.split(";\n") if statement.strip()]

    @property
    def names(self) -> list[str]:
        """Tables and views that it makes or changes."""
        return sorted({name_in(statement) for statement in self.statements("")} - {""})

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

    Raises ``MigrationError`` when an applied file has changed or the database is newer than this code, and
    ``ServerTooOldError``.
    """
    clickhouse = settings.clickhouse
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
        [(exists,)] = client.execute(
            "SELECT count() FROM system.tables WHERE database = %(database)s AND name = 'schema_migrations'",
            {"database": settings.clickhouse.database},
        )
    finally:
        client.disconnect()
    if not exists:
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


def _apply(client: Client, migration: Migration, cluster: str) -> None:
    for statement in migration.statements(cluster):
        client.execute(statement)
    record_forms(client, migration.version, migration.names)
    client.execute(
        "INSERT INTO schema_migrations (version, name, sha256) VALUES",
        [(migration.version, migration.name, migration.sha256)],
        settings=_RECORDING,
    )


def make_records(client: Client, cluster: str) -> None:
    """Make the two tables in which migrations are recorded, where they are missing."""
    for table in (_RECORDS, _FORMS):
        client.execute(_render(table, cluster))


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


def _create_database(clickhouse: ClickHouseSettings) -> None:
    client = clickhouse_client(clickhouse, database="default")
    try:
        require_server(client)
        name = f"`{clickhouse.database.replace('`', '``')}`"
        client.execute(
            _render(Template(f"CREATE DATABASE IF NOT EXISTS {name} ${{on_cluster}}"), clickhouse.cluster)
        )
    finally:
        client.disconnect()


def _render(template: Template, cluster: str) -> str:
    if cluster:
        on_cluster = f"ON CLUSTER `{cluster.replace('`', '``')}`"
        window = (
            f"replicated_deduplication_window = {DEDUPLICATION_WINDOW}, "
            f"replicated_deduplication_window_seconds = {DEDUPLICATION_WINDOW_S}"
        )
        return template.substitute(
            on_cluster=on_cluster, replicated="Replicated", deduplication_window=window
        )
    window = f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
    return template.substitute(on_cluster="", replicated="", deduplication_window=window)
