"""``mcenter warehouse``: migrate the warehouse, show its state, and repair manual changes."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo, write_data

if TYPE_CHECKING:
    from parallelm.connections import Settings

_DELAYS = [
    "table_name",
    "blocks",
    "records",
    "rows",
    "dead_letters",
    "median_delay_ms",
    "worst_delay_ms",
    "inserted_at",
]


@click.group()
def warehouse() -> None:
    """Migrate the warehouse in ClickHouse, and undo manual changes."""


CLUSTER = click.option(
    "--cluster",
    metavar="NAME",
    help="Cluster of ClickHouse on which the tables are, as the server's remote_servers name it.  "
    "[default: the setting cluster of section clickhouse; without one, a single server]",
)


@warehouse.command()
@CLUSTER
def migrate(cluster: str | None) -> None:
    """Create the database if it is absent and apply pending migrations.

    Stop the sinks before you change tables that they write to: while one of them is inserting, this is refused. Sinks and
    everybody else need the same cluster in their settings.
    """
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.mcenter.migration import migrate_at_rest
    from parallelm.warehouse.retention import apply_retention, check_retention

    settings = _on(load_settings(role="admin"), cluster)
    with reported_in_one_line(settings):
        check_retention(settings.retention)
        applied = migrate_at_rest(settings)
        kept_otherwise = apply_retention(settings)
    for migration in applied:
        echo(f"applied {migration.version:04} {migration.name}")
    echo(f"database {settings.clickhouse.database}: {len(applied)} migrations applied, none pending")
    for each in kept_otherwise:
        echo(f"{each.table} {_kept(each.current_days)} before, now {_kept(each.wanted_days)}")
    _end_with_differences(settings)


@warehouse.command()
def status() -> None:
    """Show applied and pending migrations, and manual changes; exit code 1 when there is something to do."""
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.warehouse.migrations import status as compare

    settings = load_settings()
    with reported_in_one_line(settings):
        found = compare(settings)
    for state, migrations in (("applied", found.applied), ("pending", found.pending)):
        for migration in migrations:
            echo(f"{state}  {migration.version:04} {migration.name}")
    _end_with_differences(settings)
    sys.exit(1 if found.pending else 0)


@warehouse.command()
@click.option(
    "--hours", type=click.IntRange(1, 8760), default=1, show_default=True, help="Of the last hours."
)
@result_options
def delays(hours: int, format_: str, output: Path | None) -> None:
    """List what the sinks have stored by table, and how long after Kafka had it, in milliseconds."""
    import pandas as pd

    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.warehouse.queries.ingestion import delays_by_table

    settings = load_settings()
    with reported_in_one_line(settings):
        found = delays_by_table(settings, hours)
    write_result(pd.DataFrame(found, columns=_DELAYS), format_, output)


@warehouse.command()
@click.option(
    "--accept",
    "accepted",
    metavar="NAME",
    multiple=True,
    help="Accept this table or view as it is now; repeatable; `all` accepts every one.",
)
@click.option(
    "--make-empty",
    "emptied",
    metavar="NAME",
    multiple=True,
    help="Create this missing table again, without its rows; repeatable.",
)
def repair(accepted: tuple[str, ...], emptied: tuple[str, ...]) -> None:
    """Restore views that were dropped or changed manually; exit code 1 when something is left to do.

    Views hold no rows. Tables are reported and stay as they are, unless an option names them. Stop the sinks first
    where a materialized view has to be restored: what they insert without it does not reach the table it fills.
    """
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.mcenter.migration import repair_at_rest
    from parallelm.warehouse.drift import Problem, accept, make_empty

    settings = load_settings(role="admin")
    with reported_in_one_line(settings):
        for name in accept(settings, accepted) if accepted else ():
            echo(f"accepted {name}")
        for name in emptied:
            make_empty(settings, name)
            echo(f"created {name} without rows")
        for difference in repair_at_rest(settings):
            detail = (
                f"; {difference.detail}"
                if difference.problem is Problem.MISSING and difference.detail
                else ""
            )
            echo(f"restored {difference.kind} {difference.name}{detail}")
    _end_with_differences(settings)
    echo("all tables and views are as the migrations made them, or accepted")


@warehouse.command()
@click.option("--apply", "applied", is_flag=True, help="Change the tables that differ from the settings.")
def retention(*, applied: bool) -> None:
    """Show how long each table keeps its rows, and how long it should; exit code 1 where the two differ.

    The settings are those of section [retention]: days after a row has arrived. Models, deployments and definitions have
    none and stay, since they say what is live and what holds now.
    """
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.warehouse.retention import apply_retention, check_retention
    from parallelm.warehouse.retention import retention as compare

    settings = load_settings(role="admin" if applied else "reader")
    with reported_in_one_line(settings):
        check_retention(settings.retention)
        changed = {each.table for each in apply_retention(settings)} if applied else set()
        found = compare(settings)
    for each in found:
        if each.differs:
            asked = _kept(each.wanted_days).removeprefix("kept ")
            who = "the settings ask" if each.setting else "what holds now needs it"
            state = f"{_kept(each.current_days)}, {who} for {asked}: --apply"
        else:
            state = _kept(each.current_days) + (" (changed)" if each.table in changed else "")
        echo(f"{each.table:26} {each.setting or '(what holds now)':28} {state}")
    if any(each.differs for each in found):
        sys.exit(1)


@warehouse.command()
@click.option(
    "--mlapp",
    "mlapp_ids",
    multiple=True,
    help="Also a role that reads only this MLApp, by row policies; the tables must be there. May be given several times.",
)
def roles(mlapp_ids: tuple[str, ...]) -> None:
    """Print SQL that makes the roles reader, writer and admin, with the least rights that each needs.

    Run it as an administrator of the ClickHouse server, and again after an upgrade.
    """
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.sinks.ingested_blocks import WRITTEN
    from parallelm.warehouse.roles import reader_statements, role_statements

    settings = load_settings()
    clickhouse = settings.clickhouse
    statements = role_statements(clickhouse.database, WRITTEN, clickhouse.cluster)
    with reported_in_one_line(settings):
        for mlapp_id in mlapp_ids:
            statements += reader_statements(settings, mlapp_id)
    for statement in statements:
        echo(f"{statement};")


@warehouse.command()
@CLUSTER
def sql(cluster: str | None) -> None:
    """Print the SQL of all migrations, for review or for an administrator who runs it.

    It asks no server. Every statement is harmless when it runs again: on a cluster, hosts that were added since get what
    they lack.
    """
    from parallelm.warehouse.migrations import all_statements

    for statement in all_statements(_on(load_settings(), cluster).clickhouse):
        write_data(f"{statement};\n")


def _on(settings: Settings, cluster: str | None) -> Settings:
    """The settings with the cluster of the command line, where one was named there."""
    if cluster is None:
        return settings
    return dataclasses.replace(settings, clickhouse=dataclasses.replace(settings.clickhouse, cluster=cluster))


def _kept(days: int | None) -> str:
    if days is None:
        return "kept by a rule of its own"
    return f"kept {days} days" if days else "kept for ever"


@warehouse.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.")
def tables(output: Path | None) -> None:
    """Describe all tables, views and columns, as Markdown."""
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.warehouse.catalogue import as_markdown, catalogue

    settings = load_settings()
    with reported_in_one_line(settings):
        page = as_markdown(catalogue(settings))
    if output is None:
        write_data(page)
    else:
        output.write_text(page, encoding="utf-8")


def _end_with_differences(settings: Settings) -> None:
    """Show what differs from the migrations and end with exit code 1, or return where nothing does."""
    from parallelm.mcenter.clickhouse_errors import reported_in_one_line
    from parallelm.warehouse import drift

    with reported_in_one_line(settings):
        differences = drift(settings)
    for difference in differences:
        echo(str(difference), err=True)
    if differences:
        sys.exit(1)
