"""``mcenter alerts unsilence``: end a silence."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.silence_options import who_and_why
from parallelm.mcenter.terminal import echo
from parallelm.operations.authors import author_of_command


@click.command()
@click.argument("silence_id")
@who_and_why
def unsilence(silence_id: str, who: str | None, comment: str) -> None:
    """End the silence SILENCE_ID now."""
    from parallelm.operations.silences import end_silence

    settings = load_settings()
    end_silence(settings, silence_id, who=author_of_command(settings, who), comment=comment)
    echo(f"silence {silence_id} has ended")
