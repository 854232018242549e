"""Nodes of an MLApp file as they are written, before their types are known to be right."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """One entry of ``nodes``; what is missing or of the wrong type is empty."""

    index: int
    id: str
    type: str
    raw: Mapping[str, Any]

    @property
    def place(self) -> Path:
        """Where it stands in the file."""
        return "nodes", self.index

    def listed(self, key: str) -> Iterator[tuple[int, str]]:
        """Texts of a list, with their positions."""
        found = self.raw.get(key)
        for at, item in enumerate(found if isinstance(found, list) else ()):
            if isinstance(item, str):
                yield at, item

    def mappings(self, key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Mappings of a list, with their positions."""
        return mappings_in(self.raw, key)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A mapping; empty when there is none."""
        found = self.raw.get(key)
        return found if isinstance(found, dict) else {}


def node_entries(document: Mapping[str, Any]) -> list[NodeEntry]:
    """The nodes of a document."""
    entries = document.get("nodes")
    return [
        NodeEntry(index, text_of(raw.get("id")), text_of(raw.get("type")), raw)
        for index, raw in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(raw, dict)
    ]


def mappings_in(raw: Mapping[str, Any], key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Mappings of the list under a key, with their positions."""
    found = raw.get(key)
    for at, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield at, item


def text_of(value: Any) -> str:
    """The value when it is text, else empty."""
    return value if isinstance(value, str) else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """That there is no ``name``, and what was probably meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
    return f"unknown {what} {name!r}; {hint}"
