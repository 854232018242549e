"""Options that the commands on the local stack share."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from parallelm.connections.settings import LOCAL_STACK_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

data_option = click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, resolve_path=True),
    default=Path(LOCAL_STACK_FOLDER),
    show_default=True,
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
