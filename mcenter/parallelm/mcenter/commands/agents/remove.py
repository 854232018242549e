"""``mcenter agents remove``: see its help."""

from __future__ import annotations

import click

from parallelm.mcenter.agent_requests import ask
from parallelm.mcenter.silence_options import who_and_why
from parallelm.schemas.records import CommandKind


@click.command()
@click.argument("agent")
@who_and_why
def remove(agent: str, who: str | None, comment: str) -> None:
    """Stop all runs of AGENT, and the agent; it is listed no more. Started again, it registers again."""
    ask(agent, CommandKind.REMOVE, who=who, comment=comment)
