"""Definitions of MLApps, compared and applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from parallelm.definitions.records import component_names
from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.components import ComponentFolders
from parallelm.operations.definition_versions import Difference, difference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import MLAppDefinition

_UPLOAD_S: Final = 600.0
_LONGEST_SOURCE: Final = 500
_YAML: Final = {"Content-Type": "application/yaml"}


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

    def difference(self, definition: MLAppDefinition, source: str, components: Path | None) -> Difference:
        """What applying it would change; ``source`` is the file's name."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def apply(self, definition: MLAppDefinition, components: Path | None) -> Applied:
        from parallelm.operations.definitions import apply_definition

        applied = apply_definition(self._settings, definition, who=self._author, components=components)
        return Applied(applied.definition.mlapp_id, applied.definition.version, applied.is_new)

    def difference(self, definition: MLAppDefinition, source: str, components: Path | None) -> Difference:
        digests = _loaded(definition, components).digests() if components else {}
        return difference(self._settings, definition, source, digests)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def apply(self, definition: MLAppDefinition, components: Path | None) -> Applied:
        sent = self._send(definition, components) if components else {}
        answer = self._server.put(
            path_of("mlapps", definition.mlapp_id, "definition"),
            params={"component": _chosen(sent)},
            content=definition.source_yaml.encode(),
            headers=_YAML,
        )
        return Applied(answer["mlapp_id"], answer["version"], answer["is_new"])

    def difference(self, definition: MLAppDefinition, source: str, components: Path | None) -> Difference:
        digests = _loaded(definition, components).digests() if components else {}
        found = self._server.post(
            path_of("mlapps", definition.mlapp_id, "definition", "difference"),
            params={"component": _chosen(digests), "source": source[:_LONGEST_SOURCE]},
            content=definition.source_yaml.encode(),
            headers=_YAML,
        )
        return Difference(found["lines"], found["components"], found["is_new"])

    def _send(self, definition: MLAppDefinition, folder: Path) -> dict[str, str]:
        """SHA-256 by name of the components that it names, where the folder has them."""
        sent = {}
        with _loaded(definition, folder).packed() as packed:
            for name, each in packed.items():
                path = path_of("mlapps", definition.mlapp_id, "components", name)
                with each.file.open("rb") as opened:
                    parts = {"file": (f"{name}.tar", opened, "application/x-tar")}
                    sent[name] = str(self._server.post(path, files=parts, answer_s=_UPLOAD_S)["sha256"])
        return sent


def _loaded(definition: MLAppDefinition, folder: Path) -> ComponentFolders:
    """The components that it names, where the folder has them."""
    folders = ComponentFolders(folder)
    folders.load(component_names(definition))
    folders.require_valid()
    return folders


def _chosen(digests: Mapping[str, str]) -> list[str]:
    return [f"{name}={sha256}" for name, sha256 in digests.items()]


definition_actions: Final = Ways[DefinitionActions](_Here, _ByServer)
"""``definition_actions(settings, who)``."""
