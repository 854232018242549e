"""``mcenter restore``: put a backup into an empty platform."""

from __future__ import annotations

from pathlib import Path

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.commands.backup import WAREHOUSE
from parallelm.mcenter.terminal import echo


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@WAREHOUSE
def restore(folder: Path, warehouse: str) -> None:
    """Restore what `mcenter backup` has copied to FOLDER, into topics without records and a database without tables.

    Start the services afterwards. Event times, versions and decisions are as they were; what is sent from then on is new.
    """
    from parallelm.operations.backup import restore as restore_backup
    from parallelm.schemas.topics import MLAPPS
    from parallelm.sinks.errors import SinkError
    from parallelm.sinks.restored import start_after

    settings = load_settings(role="admin")
    with reported_in_one_line(settings):
        report = restore_backup(settings, folder, warehouse)
    try:
        start_after(settings, [MLAPPS])
    except SinkError as error:
        raise click.ClickException(
            f"all is restored, but {error}; definitions will be stored twice"
        ) from error
    records = ", ".join(f"{count} of {topic}" for topic, count in report.records.items())
    echo(
        f"restored from {folder}: database {settings.clickhouse.database}, {report.models} files of models; records: {records}"
    )
