"""``mcenter alerts unsilence``: end a silence."""

from __future__ import annotations

import getpass

import click

from parallelm.connections import load_settings
from parallelm.mcenter.silence_options import who_and_why
from parallelm.mcenter.terminal import echo


@click.command()
@click.argument("silence_id")
@who_and_why
def unsilence(silence_id: str, who: str | None, comment: str) -> None:
    """End the silence SILENCE_ID now."""
    from parallelm.operations.silences import end_silence

    end_silence(load_settings(), silence_id, who=who or getpass.getuser(), comment=comment)
    echo(f"silence {silence_id} has ended")
