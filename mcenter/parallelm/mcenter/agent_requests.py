"""``mcenter agents drain | resume | remove``: what is asked of an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.connections import load_settings
from parallelm.mcenter.terminal import echo
from parallelm.operations.acting.agents import agent_actions

if TYPE_CHECKING:
    from parallelm.schemas.records import CommandKind


def ask(agent: str, kind: CommandKind, *, who: str | None, comment: str) -> None:
    """Ask it, and say what follows."""
    from parallelm.operations.agents import what_follows

    is_alive = agent_actions(load_settings(), who).ask(agent, kind, comment=comment)
    echo(what_follows(agent, kind, is_alive=is_alive))
