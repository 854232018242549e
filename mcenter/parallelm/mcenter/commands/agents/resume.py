"""``mcenter agents resume``: see its help."""

from __future__ import annotations

import click

from parallelm.connections import load_settings
from parallelm.mcenter.silence_options import who_and_why
from parallelm.mcenter.terminal import echo
from parallelm.operations.authors import author_of_command


@click.command()
@click.argument("agent")
@who_and_why
def resume(agent: str, who: str | None, comment: str) -> None:
    """Let AGENT take runs again, after a drain."""
    from parallelm.operations.agents import resume_agent

    settings = load_settings()
    found = resume_agent(settings, agent, who=author_of_command(settings, who), comment=comment)
    when = "" if found.is_alive else "; it was not heard of for a while: this holds once it is back"
    echo(f"agent {agent} takes runs again{when}")
