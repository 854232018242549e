"""``mcenter rules``: say what the rules of a file do, and try them on history."""

from __future__ import annotations

import sys

import click

from parallelm.mcenter.command_folder import FolderGroup


@click.group(cls=FolderGroup, folder=sys.modules[__name__])
def rules() -> None:
    """Say what the alert rules of an MLApp file do, and try them on history."""
