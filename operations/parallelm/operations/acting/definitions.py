"""Definitions of MLApps, applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from parallelm.definitions.records import component_names
from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.components import ComponentFolders

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import MLAppDefinition

_UPLOAD_S: Final = 600.0


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
        sent = self._send(definition, components) if components else {}
        answer = self._server.put(
            path_of("mlapps", definition.mlapp_id, "definition"),
            params={"component": [f"{name}={sha256}" for name, sha256 in sent.items()]},
            content=definition.source_yaml.encode(),
            headers={"Content-Type": "application/yaml"},
        )
        return Applied(answer["mlapp_id"], answer["version"], answer["is_new"])

    def _send(self, definition: MLAppDefinition, folder: Path) -> dict[str, str]:
        """SHA-256 by name of the components that it names, where the folder has them."""
        folders = ComponentFolders(folder)
        folders.load(component_names(definition))
        folders.require_valid()
        sent = {}
        with folders.packed() as files:
            for name, file in files.items():
                with file.open("rb") as opened:
                    parts = {"file": (f"{name}.tar", opened, "application/x-tar")}
                    path = path_of("mlapps", definition.mlapp_id, "components", name)
                    sent[name] = str(self._server.post(path, files=parts, answer_s=_UPLOAD_S)["sha256"])
        return sent


definition_actions: Final = Ways[DefinitionActions](_Here, _ByServer)
"""``definition_actions(settings, who)``."""
