"""``mcenter agents drain``: see its help."""

from __future__ import annotations

import click

from parallelm.mcenter.agent_requests import ask
from parallelm.mcenter.silence_options import who_and_why
from parallelm.schemas.records import CommandKind


@click.command()
@click.argument("agent")
@who_and_why
def drain(agent: str, who: str | None, comment: str) -> None:
    """Let AGENT take no more runs: movable ones go elsewhere, pinned ones go on until they end or are stopped."""
    ask(agent, CommandKind.DRAIN, who=who, comment=comment)
