"""``mcenter alerts unsilence``: end a silence."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.silence_options import who_and_why
from parallelm.mcenter.terminal import echo
from parallelm.operations.acting.silences import silence_actions


@click.command()
@click.argument("silence_id")
@who_and_why
def unsilence(silence_id: str, who: str | None, comment: str) -> None:
    """End the silence SILENCE_ID now."""
    silence_actions(load_settings(), who).end(silence_id, comment=comment)
    echo(f"silence {silence_id} has ended")
