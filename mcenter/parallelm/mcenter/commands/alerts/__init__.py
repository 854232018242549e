"""``mcenter alerts``: list alerts, show what is known of one, and answer it."""

from __future__ import annotations

import sys

import click

from parallelm.mcenter.command_folder import FolderGroup


@click.group(cls=FolderGroup, folder=sys.modules[__name__], default="list")
def alerts() -> None:
    """List alerts, show what is known of one, and answer it. Without a command: list."""
