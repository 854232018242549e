"""``mcenter agents remove``: see its help."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.silence_options import who_and_why
from parallelm.mcenter.terminal import echo
from parallelm.operations.authors import author_of_command


@click.command()
@click.argument("agent")
@who_and_why
def remove(agent: str, who: str | None, comment: str) -> None:
    """Stop all runs of AGENT, and the agent; it is listed no more. Started again, it registers again."""
    from parallelm.operations.agents import remove_agent

    settings = load_settings()
    found = remove_agent(settings, agent, who=author_of_command(settings, who), comment=comment)
    when = "" if found.is_alive else "; it was not heard of for a while: this holds once it is back"
    echo(f"agent {agent} stops its runs and ends{when}")
