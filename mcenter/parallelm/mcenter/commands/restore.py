"""``mcenter restore``: put a backup into an empty platform."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.commands.backup import WAREHOUSE
from parallelm.mcenter.terminal import echo
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@WAREHOUSE
def restore(folder: Path, warehouse: str) -> None:
    """Restore what `mcenter backup` has copied to FOLDER, into topics without records and a database without tables.

    Start the services afterwards. Event times, versions and decisions are as they were; what is sent from then on is new.
    """
    from parallelm.connections.artifacts import present_url, public_artifacts_url
    from parallelm.operations.backup import restore as restore_backup
    from parallelm.schemas.topics import MLAPPS
    from parallelm.server.errors import ServerError
    from parallelm.sinks.errors import SinkError
    from parallelm.sinks.restored import start_after

    settings = load_settings(role="admin")
    try:
        with _accounts_restored(settings, folder), reported_in_one_line(settings):
            report = restore_backup(settings, folder, warehouse)
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    try:
        start_after(settings, [MLAPPS])
    except SinkError as error:
        raise click.ClickException(
            f"all is restored, but {error}; definitions will be stored twice"
        ) from error
    records = ", ".join(f"{count} of {topic}" for topic, count in report.records.items())
    echo(
        f"restored from {folder}: database {settings.clickhouse.database}, {counted(report.models, 'model file')}; records: {records}"
    )
    store = public_artifacts_url(settings.artifacts)
    if report.models and present_url(settings.artifacts, f"{report.artifacts_url}/") != f"{store}/":
        echo(
            f"the models were announced below {report.artifacts_url} and lie below {store} now: give every service, agent and "
            f"component MCENTER_ARTIFACTS_MOVED_FROM={report.artifacts_url} (in files: [artifacts] moved_from)"
        )


@contextmanager
def _accounts_restored(settings: Settings, folder: Path) -> Iterator[None]:
    """After all else the accounts, where the backup has some; refused before, when there are others."""
    from parallelm.server.accounts import backup as accounts
    from parallelm.server.accounts.database import Database

    if not (folder / accounts.FILE).exists():
        yield
        return
    database = Database(settings.server.database_url)
    try:
        accounts.require_empty(database)
        yield
        accounts.load(database, folder)
    finally:
        database.close()
