"""Versions of a definition: what another one would change."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.definitions import next_version
from parallelm.definitions.records import components_of, with_components
from parallelm.definitions.run_spec import ComponentSpec
from parallelm.operations.definitions import list_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.connections import Settings
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
    settings: Settings, wanted: MLAppDefinition, source: str, digests: Mapping[str, str] | None = None
) -> Difference:
    """Between the definition in force and another one; ``source`` names the latter.

    ``digests`` are SHA-256 of its components, by name; those that are not among them stay as they are in force. Raises as
    ``apply_definition``.
    """
    current = next((each for each in list_definitions(settings) if each.mlapp_id == wanted.mlapp_id), None)
    in_force = components_of(current) if current else {}
    changed = {
        name: ComponentSpec(name=name, artifact_url="", sha256=sha256)
        for name, sha256 in (digests or {}).items()
        if name not in in_force or in_force[name].sha256 != sha256
    }
    whole = with_components(wanted, {**in_force, **changed})
    before = current.source_yaml.splitlines() if current else []
    now = f"version {current.version}" if current else "not defined"
    lines = difflib.unified_diff(before, wanted.source_yaml.splitlines(), now, source, lineterm="")
    return Difference(list(lines), list(changed), next_version(current, whole) is not None)
