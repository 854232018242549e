"""``mcenter agents resume``: see its help."""

from __future__ import annotations

import click

from parallelm.mcenter.agent_requests import ask
from parallelm.mcenter.silence_options import who_and_why
from parallelm.schemas.records import CommandKind


@click.command()
@click.argument("agent")
@who_and_why
def resume(agent: str, who: str | None, comment: str) -> None:
    """Let AGENT take runs again, after a drain."""
    ask(agent, CommandKind.RESUME, who=who, comment=comment)
