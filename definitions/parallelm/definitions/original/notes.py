"""What is told of a conversion, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """Something that does not come over as it is: ``where`` it stood, and what to do."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(slots=True)
class Notes:
    """Collects notes of one file."""

    file: str
    found: list[Note] = field(default_factory=list)

    def add(self, path: str, message: str) -> None:
        """Note something at a path within the file; an empty one is the file itself."""
        note = Note(f"{self.file}: {path}" if path else self.file, message)
        if note not in self.found:
            self.found.append(note)

    def of(self, file: str) -> Notes:
        """For another file; its notes are among these."""
        return Notes(file, self.found)

    def unread(self, raw: dict[str, Any], known: set[str], path: str = "") -> None:
        """Note keys with something in them that nobody reads."""
        for key, value in raw.items():
            if key not in known and value not in (None, "", [], {}):
                self.add(f"{path}{key}", f"{_short(value)} is not carried over: there is no such key here")


def identifier(name: object, fallback: str = "unnamed") -> str:
    """A name as an id: other characters become dashes."""
    return _NOT_OF_AN_ID.sub("-", str(name)).strip("-._") or fallback


def mapping(value: Any) -> dict[str, Any]:
    """The value when it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def is_true(value: Any) -> bool:
    """The original's files write true and ``"true"``."""
    return value is True or str(value).lower() == "true"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"  # noqa: PLR2004 - a line
