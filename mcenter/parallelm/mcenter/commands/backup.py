"""``mcenter backup``: copy the warehouse, the models and the state of services."""

from __future__ import annotations

from pathlib import Path

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.terminal import echo

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
    """Copy the warehouse, the models, and the topics with definitions, silences and the state of services to FOLDER.

    Stop sinks and processors before, so that the parts are of one moment. Other topics are not copied: their records are in
    the warehouse once the lag of the sinks is 0.
    """
    from parallelm.operations.backup import back_up

    settings = load_settings(role="admin")
    with reported_in_one_line(settings):
        report = back_up(settings, folder, warehouse)
    records = ", ".join(f"{count} of {topic}" for topic, count in report.records.items())
    echo(
        f"backed up to {folder}: database {settings.clickhouse.database}, {report.models} files of models; records: {records}"
    )
