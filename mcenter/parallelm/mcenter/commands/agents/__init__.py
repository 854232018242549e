"""``mcenter agents``: which agents there are, and what is asked of them."""

from __future__ import annotations

import sys

import click

from parallelm.mcenter.command_folder import FolderGroup


@click.group(cls=FolderGroup, folder=sys.modules[__name__], default="list")
def agents() -> None:
    """List agents, show what runs on one, drain, resume and remove them. Without a command: list."""
