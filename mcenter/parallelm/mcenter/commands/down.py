"""``mcenter down``: stop the local stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parallelm.mcenter.local_stack.stack import stop_detached
from parallelm.mcenter.stack_options import data_option
from parallelm.mcenter.terminal import echo

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@data_option
def down(folder: Path) -> None:
    """Stop the stack of the data folder, detached or not, and wait until all its processes have ended.

    The data stay, and `mcenter up` continues with them.
    """
    if stop_detached(folder):
        echo(f"the stack in {folder} is stopped; its data stay")
    else:
        echo(f"no stack runs in {folder}")
