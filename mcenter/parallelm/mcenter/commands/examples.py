"""``mcenter examples``: the examples that the documentation names, for whoever has installed the package."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

import click

from parallelm.mcenter.terminal import echo


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="examples")
def examples(folder: Path) -> None:
    """Write the examples that the documentation names into FOLDER, a new one; default: examples, here."""
    if folder.exists():
        raise click.ClickException(f"{folder} exists already: name another folder, or remove it")
    packaged = files("parallelm.mcenter") / "examples"
    if not packaged.is_dir():  # installed in place
        packaged = Path(__file__).parents[4] / "examples"
    with as_file(packaged) as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    echo(f"{folder} is written: " + ", ".join(sorted(each.name for each in folder.iterdir())))
