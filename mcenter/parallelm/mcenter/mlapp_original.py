"""``mcenter mlapps import | export``: MLApp folders of the original platform."""

from __future__ import annotations

from pathlib import Path

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.terminal import echo
from parallelm.operations import original_folders


@click.command(name="import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="New folder to write; default: one called as the MLApp, here.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Zone of the cron schedules in FOLDER.")
def import_(folder: Path, target: Path | None, timezone: str) -> None:
    """Take over an MLApp FOLDER of the original platform: write an MLApp file with its components.

    Prints what does not come over as it is, a line each. Ends with 1 while the new file has mistakes.
    """
    found = original_folders.import_folder(folder, target, timezone=timezone)
    for note in found.notes:
        echo(str(note))
    if found.mistakes:
        raise click.ClickException(f"{found.file} is written, and not complete yet:\n{found.mistakes}")
    echo(f"{found.file} is written; apply it with `mcenter mlapps apply {found.file}`")


@click.command()
@click.argument("mlapp_id")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--models",
    "with_models",
    is_flag=True,
    help="With the model that is live on each node, or its default one.",
)
def export(mlapp_id: str, folder: Path, *, with_models: bool) -> None:
    """Write the current definition of MLAPP_ID into FOLDER as files of the original platform.

    Prints what does not come over as it is, a line each.
    """
    settings = load_settings()
    with reported_in_one_line(settings):
        notes = original_folders.export_mlapp(settings, mlapp_id, folder, with_models=with_models)
    for note in notes:
        echo(str(note))
    echo(f"{folder / original_folders.MLAPP_JSON} is written")


COMMANDS = (import_, export)
