"""``mcenter backup``: copy the warehouse, the models and the state of services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.terminal import echo
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from parallelm.connections import Settings

WAREHOUSE = click.option(
    "--warehouse",
    default="",
    metavar="PLACE",
    help="Where ClickHouse writes its part, in its own words: \"File('…')\" below its backups.allowed_path, or "
    "\"S3('https://…')\".  [default: a folder in FOLDER, which the server must reach]",
)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@WAREHOUSE
def backup(folder: Path, warehouse: str) -> None:
    """Copy the warehouse, the models, the topics with definitions, silences and the state of services, and the accounts to FOLDER.

    Stop sinks and processors before, so that the parts are of one moment. Other topics are not copied: their records are in
    the warehouse once the lag of the sinks is 0.
    """
    from parallelm.operations.backup import back_up
    from parallelm.server.errors import ServerError

    settings = load_settings(role="admin")
    try:
        with reported_in_one_line(settings):
            report = back_up(settings, folder, warehouse, lambda whole: _save_accounts(settings, whole))
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    records = ", ".join(f"{count} of {topic}" for topic, count in report.records.items())
    echo(
        f"backed up to {folder}: database {settings.clickhouse.database}, {counted(report.models, 'model file')}; records: {records}"
    )


def _save_accounts(settings: Settings, folder: Path) -> None:
    """The server's accounts, where it has a database that commands here reach."""
    from parallelm.server.accounts import backup as accounts
    from parallelm.server.accounts.database import Database, is_there

    if is_there(settings.server.database_url):
        database = Database(settings.server.database_url)
        accounts.save(database, folder)
        database.close()
