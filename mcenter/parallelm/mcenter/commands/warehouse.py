"""``mcenter warehouse``: migrate the warehouse, and show what is applied."""

from __future__ import annotations

import sys

import click

from parallelm.connections import load_settings
from parallelm.mcenter.terminal import echo


@click.group()
def warehouse() -> None:
    """Migrate the warehouse in ClickHouse."""


@warehouse.command()
def migrate() -> None:
    """Create the database if it is absent and apply pending migrations.

    Stop the sinks before you change tables that they write to: while one of them is inserting, this is refused.
    """
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.mcenter.migration import migrate_at_rest

    settings = load_settings(role="admin")
    with reported_in_one_line(settings):
        applied = migrate_at_rest(settings)
    for migration in applied:
        echo(f"applied {migration.version:04} {migration.name}")
    echo(f"database {settings.clickhouse.database}: {len(applied)} migrations applied, none pending")


@warehouse.command()
def status() -> None:
    """Show applied and pending migrations; exit code 1 when some are pending."""
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.warehouse.migrations import status as compare

    settings = load_settings()
    with reported_in_one_line(settings):
        found = compare(settings)
    for state, migrations in (("applied", found.applied), ("pending", found.pending)):
        for migration in migrations:
            echo(f"{state}  {migration.version:04} {migration.name}")
    sys.exit(1 if found.pending else 0)
