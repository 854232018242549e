"""What is asked of agents: to take no more runs, to take them again, to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import CommandKind


class AgentActions(Protocol):
    """Raises ``OperationError`` and ``SchemaError``."""

    def ask(self, agent: str, kind: CommandKind, *, comment: str) -> bool:
        """Ask one of ``REQUESTS`` of an agent; False when it was not heard of for a while, so that this holds once it is back."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def ask(self, agent: str, kind: CommandKind, *, comment: str) -> bool:
        from parallelm.operations.agents import ask_agent

        return ask_agent(self._settings, agent, kind, who=self._author, comment=comment).is_alive


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def ask(self, agent: str, kind: CommandKind, *, comment: str) -> bool:
        path = path_of("agents", agent, kind.value)
        return bool(self._server.post(path, json={"comment": comment})["is_alive"])


agent_actions: Final = Ways[AgentActions](_Here, _ByServer)
"""``agent_actions(settings, who)``."""
