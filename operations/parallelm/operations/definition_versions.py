"""Versions of a definition: what another one would change."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.definitions import next_version
from parallelm.definitions.records import component_names, components_of, with_components
from parallelm.operations.components import ComponentFolders
from parallelm.operations.definitions import list_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.definitions.running import ComponentSpec
    from parallelm.schemas.records import MLAppDefinition


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a definition would change."""

    lines: Sequence[str]
    """Of the texts, as ``diff -u`` writes them; also comments and layout."""
    components: Sequence[str]
    """Names of components whose files differ from those in force, or are new."""
    is_new: bool
    """Whether applying it makes a new version."""


def difference(
    settings: Settings, wanted: MLAppDefinition, source: str, components: Path | None = None
) -> Difference:
    """Between the definition in force and another one; ``source`` names the latter.

    ``components`` is the folder of its components; None: those in force stay. Raises ``InvalidFileError``, and as
    ``apply_definition``.
    """
    current = next((each for each in list_definitions(settings) if each.mlapp_id == wanted.mlapp_id), None)
    in_force = components_of(current) if current else {}
    own: Mapping[str, ComponentSpec] = {}
    if components is not None:
        folders = ComponentFolders(components)
        folders.load(component_names(wanted))
        folders.require_valid()
        own = folders.specs(settings)
    whole = with_components(wanted, {**in_force, **own, **components_of(wanted)})
    before = current.source_yaml.splitlines() if current else []
    now = f"version {current.version}" if current else "not defined"
    lines = difflib.unified_diff(before, wanted.source_yaml.splitlines(), now, source, lineterm="")
    changed = [
        name for name, spec in own.items() if name not in in_force or in_force[name].sha256 != spec.sha256
    ]
    return Difference(list(lines), changed, next_version(current, whole) is not None)
