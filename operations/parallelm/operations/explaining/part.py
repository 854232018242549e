"""One part of an explanation: a sentence, its numbers, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence with the numbers behind it and what it rests on."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs."""
    parts: Sequence[Part] = ()


def of_json(value: Any, name: str = "") -> list[Part]:
    """The numbers of a JSON value as parts."""
    if isinstance(value, Mapping):
        found = []
        for key, each in value.items():
            nested = isinstance(each, Mapping | list) and each and not _is_flat(each)
            found.append(Part(f"{key}:", parts=of_json(each)) if nested else Part(f"{key}: {_shown(each)}"))
        return found
    if isinstance(value, list):
        return [
            Part(_shown(each)) if _is_flat(each) or not isinstance(each, Mapping | list) else _item(each, at)
            for at, each in enumerate(value, 1)
        ]
    return [Part(f"{name}{_shown(value)}")]


def _item(value: Any, number: int) -> Part:
    name = (
        value.get("name") or value.get("gate") or value.get("metric") if isinstance(value, Mapping) else None
    )
    return Part(str(name or number), parts=of_json(value))


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(each, Mapping | list) for each in value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return str(value)
