"""Definitions of MLApps, applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from parallelm.definitions.records import component_names
from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.components import ComponentFolders
from parallelm.operations.errors import OperationError

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import MLAppDefinition


@dataclass(frozen=True, slots=True)
class Applied:
    """The version that is in force now."""

    mlapp_id: str
    version: int
    is_new: bool
    """False: it was in force already."""


class DefinitionActions(Protocol):
    """Raises ``OperationError``."""

    def apply(self, definition: MLAppDefinition, components: Path | None) -> Applied:
        """Make a valid file the definition of its MLApp, with the components that it names from a folder, where it has them."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def apply(self, definition: MLAppDefinition, components: Path | None) -> Applied:
        from parallelm.operations.definitions import apply_definition

        applied = apply_definition(self._settings, definition, who=self._author, components=components)
        return Applied(applied.definition.mlapp_id, applied.definition.version, applied.is_new)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def apply(self, definition: MLAppDefinition, components: Path | None) -> Applied:
        own = ComponentFolders(components).load(component_names(definition)) if components else {}
        if own:
            raise OperationError(
                f"components are not sent through a server: {', '.join(own)}. Let somebody apply the file who acts without one "
                "(MCENTER_SERVER_URL=), or apply it without these folders, so that the components in force stay"
            )
        answer = self._server.put(
            path_of("mlapps", definition.mlapp_id, "definition"),
            content=definition.source_yaml.encode(),
            headers={"Content-Type": "application/yaml"},
        )
        return Applied(answer["mlapp_id"], answer["version"], answer["is_new"])


definition_actions: Final = Ways[DefinitionActions](_Here, _ByServer)
"""``definition_actions(settings, who)``."""
