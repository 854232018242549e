"""What a new version of a schema may change: FULL_TRANSITIVE, with a stricter rule of this project.

Avro's FULL compatibility asks that each version reads what every other one wrote. This project's rule is stricter,
for the safety of consumers in any language: only fields with defaults are added or removed, an enum gains symbols but
never loses one or changes its default, and types never change (no promotion, no union branch added or removed).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAMED = frozenset({"record", "enum", "fixed"})


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One change that is not allowed."""

    path: str
    """Where in the schema, for example ``StatisticsBatch.series[].name``."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def check_history(versions: Sequence[str]) -> list[Incompatibility]:
    """Compare every version (JSON text, oldest first) with all earlier ones; empty when all are compatible."""
    return [
        Incompatibility(f"version {new + 1} against {old + 1}: {found.path}", found.reason)
        for new in range(len(versions))
        for old in range(new)
        for found in check(versions[old], versions[new])
    ]


def check(old: str, new: str) -> list[Incompatibility]:
    """Forbidden changes between two versions, given as JSON text."""
    before, after = json.loads(old), json.loads(new)
    return list(_Comparison(_named_types(before), _named_types(after)).compare(before, after, ""))


class _Comparison:
    """Walks two schemas side by side."""

    def __init__(self, old_types: dict[str, Any], new_types: dict[str, Any]) -> None:
        self._old_types = old_types
        self._new_types = new_types
        self._compared: set[tuple[str, str]] = set()

    def compare(self, old: Any, new: Any, path: str) -> Iterator[Incompatibility]:
        """Differences below one place in both schemas."""
        if isinstance(old, str):
            old = self._old_types.get(_bare(old), old)
        if isinstance(new, str):
            new = self._new_types.get(_bare(new), new)
        kind, new_kind = _kind(old), _kind(new)
        if kind != new_kind:
            yield Incompatibility(path, f"its type was {kind} and is {new_kind}")
        elif _logical(old) != _logical(new):
            yield Incompatibility(path, f"its logical type was {_logical(old)} and is {_logical(new)}")
        elif kind == "union":
            yield from self._union(old, new, path)
        elif kind in _NAMED:
            yield from self._named(old, new, path or old["name"])
        elif kind == "array":
            yield from self.compare(old["items"], new["items"], f"{path}[]")
        elif kind == "map":
            yield from self.compare(old["values"], new["values"], f"{path}{{}}")

    def _union(self, old: list[Any], new: list[Any], path: str) -> Iterator[Incompatibility]:
        if len(old) != len(new):
            yield Incompatibility(
                path,
                f"the union had {len(old)} branches and has {len(new)}; branches must not be added or removed",
            )
            return
        for old_branch, new_branch in zip(old, new, strict=True):
            yield from self.compare(old_branch, new_branch, path)

    def _named(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Incompatibility]:
        names = _bare(old["name"]), _bare(new["name"])
        if names in self._compared:
            return
        self._compared.add(names)
        if names[0] != names[1] or old.get("namespace") != new.get("namespace"):
            yield Incompatibility(
                path, f"the type was named {_full_name(old)} and is named {_full_name(new)}"
            )
        if old["type"] == "record":
            yield from self._record(old, new, path)
        elif old["type"] == "enum":
            yield from _enum(old, new, path)
        elif old["size"] != new["size"]:
            yield Incompatibility(path, f"its size was {old['size']} bytes and is {new['size']}")

    def _record(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Incompatibility]:
        old_fields = {field["name"]: field for field in old["fields"]}
        new_fields = {field["name"]: field for field in new["fields"]}
        for name, field in old_fields.items():
            if name in new_fields:
                yield from self.compare(field["type"], new_fields[name]["type"], f"{path}.{name}")
            elif "default" not in field:
                yield Incompatibility(
                    f"{path}.{name}",
                    "the field is gone and had no default: older consumers cannot read newer records",
                )
        for name, field in new_fields.items():
            if name not in old_fields and "default" not in field:
                yield Incompatibility(
                    f"{path}.{name}",
                    "the field is new and has no default: newer consumers cannot read older records",
                )


def _enum(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Incompatibility]:
    gone = [symbol for symbol in old["symbols"] if symbol not in new["symbols"]]
    come = [symbol for symbol in new["symbols"] if symbol not in old["symbols"]]
    if gone:
        yield Incompatibility(path, f"the enum lost {', '.join(gone)}; symbols must not be removed")
    if come and "default" not in old:
        yield Incompatibility(
            path,
            f"the enum has new symbols ({', '.join(come)}) and had no default: older consumers cannot read them",
        )
    if old.get("default") != new.get("default"):
        yield Incompatibility(
            path, f"the enum's default was {old.get('default')} and is {new.get('default')}; it never changes"
        )


def _named_types(schema: Any) -> dict[str, Any]:
    """Every record, enum and fixed defined anywhere in a schema, by its name without namespace."""
    found: dict[str, Any] = {}
    if isinstance(schema, list):
        for branch in schema:
            found |= _named_types(branch)
    elif isinstance(schema, dict):
        if schema["type"] in _NAMED:
            found[_bare(schema["name"])] = schema
        for inner in (schema["type"], schema.get("items"), schema.get("values")):
            if not isinstance(inner, str):
                found |= _named_types(inner)
        for field in schema.get("fields", ()):
            found |= _named_types(field["type"])
    return found


def _kind(schema: Any) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


def _logical(schema: Any) -> str | None:
    return schema.get("logicalType") if isinstance(schema, dict) else None


def _bare(name: str) -> str:
    return name.rpartition(".")[2]


def _full_name(schema: dict[str, Any]) -> str:
    return f"{schema['namespace']}.{schema['name']}" if "namespace" in schema else str(schema["name"])
