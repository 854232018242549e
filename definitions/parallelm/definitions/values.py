"""Types of values that people choose: of components' arguments and of MLApps' parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from parallelm.definitions.running import Argument

ValueType = Literal["text", "integer", "number", "boolean"]
IN_WORDS: dict[str, str] = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
}
"""What a value of each type is."""


def is_of_type(kind: str, value: object) -> bool:
    """Whether a value is of a type."""
    match kind:
        case "text":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_value(kind: str, text: str) -> str | int | float | bool:
    """Value of a type from its text; raises ``ValueError`` that says what it must be."""
    found: str | int | float | bool | None = None
    try:
        match kind:
            case "text":
                found = text
            case "boolean":
                found = {"true": True, "false": False}.get(text)
            case "integer":
                found = int(text)
            case _:
                found = float(text)
    except ValueError:
        found = None
    if found is None or not is_of_type(kind, found):
        raise ValueError(f"must be {IN_WORDS[kind]}")
    return found


def as_text(value: Argument) -> str:
    """A value as it stands on a command line and in texts."""
    return str(value).lower() if isinstance(value, bool) else str(value)
