"""Numbered SQL files beside this one, applied in order and recorded with their hash in ``schema_migrations``.

Every statement must be harmless when it runs twice (``IF NOT EXISTS``): so two processes may migrate at once, and a
migration that was cut short is simply run again. An applied file never changes; what changes is a new file.
The files are ``string.Template``s: ``${on_cluster}``, ``${replicated}`` and ``${deduplication_window}`` say what
differs between one server and a cluster.
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clickhouse_driver import Client

    from parallelm.connections import ClickHouseSettings, Settings

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

DEDUPLICATION_WINDOW = 100_000
"""Insert tokens that each table remembers; ``0001_statistics.sql`` says what for."""

DEDUPLICATION_WINDOW_S = 90 * 86_400
"""Replicated tables also forget by age: not before the longest retention of a topic that is not compacted."""

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
        """Hash of the file as it stands, before rendering."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, cluster: str) -> list[str]:
        """Its statements, rendered for one server (``cluster`` empty) or for a cluster."""
        rendered = _render(Template(self.text), cluster)
        without_comments = "\n".join(line for line in rendered.splitlines() if not line.startswith("--"))
        return [statement.strip() for statement in without_comments.split(";\n") if statement.strip()]


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """What the database has of this code's migrations."""

    applied: tuple[Migration, ...]
    pending: tuple[Migration, ...]


def packaged_migrations() -> list[Migration]:
    """All migrations of this code, by number; raises ``MigrationError`` for a gap or a file name out of form."""
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

    Raises ``MigrationError`` when an applied file has changed or the database is newer than this code.
    """
    clickhouse = settings.clickhouse
    _create_database(clickhouse)
    client = clickhouse_client(clickhouse)
    try:
        client.execute(_render(_RECORDS, clickhouse.cluster))
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
    """Hold ``packaged`` against ``recorded`` (number to SHA-256); raises ``MigrationError`` where they disagree."""
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
    client.execute(
        "INSERT INTO schema_migrations (version, name, sha256) VALUES",
        [(migration.version, migration.name, migration.sha256)],
        # Two processes that migrate at once both leave a record: without this the engine would drop equal blocks.
        settings={"async_insert": 0, "insert_deduplicate": 0},
    )


def _recorded(client: Client) -> dict[int, str]:
    rows = client.execute(
        "SELECT version, argMin(sha256, applied_at) FROM schema_migrations GROUP BY version"
    )
    return dict(rows)


def _create_database(clickhouse: ClickHouseSettings) -> None:
    client = clickhouse_client(clickhouse, database="default")
    try:
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
