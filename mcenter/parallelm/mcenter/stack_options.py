"""Options that the commands on the local stack share."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from parallelm.connections.search import LOCAL_STACK_FOLDER, local_stack_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def default_folder() -> Path:
    """Data folder of the stack of the working directory or the nearest folder above that has one, else a new one here."""
    return (local_stack_folder(os.environ) or Path.cwd() / LOCAL_STACK_FOLDER).resolve()


data_option = click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, resolve_path=True),
    default=default_folder,
    show_default=f"{LOCAL_STACK_FOLDER} here, or the nearest in the folders above",
    help="Data folder of the stack.",
)


@contextmanager
def download_progress() -> Iterator[Callable[[int, int], None]]:
    """``progress(done_bytes, total_bytes)`` that draws a bar; nothing is drawn unless it is called."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, transient=True)
    task = bar.add_task("Kafka from Maven Central, once", total=None)

    def progress(done_bytes: int, total_bytes: int) -> None:
        bar.start()
        bar.update(task, completed=done_bytes, total=total_bytes)

    try:
        yield progress
    finally:
        if bar.live.is_started:
            bar.stop()
