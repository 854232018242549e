"""Texts with values in them, as ``{{ value }}`` in the annotations of alert rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELD = re.compile(r"\{\{\s*(?P<name>labels\.[\w.-]+|[A-Za-z_]\w*)\s*(?::(?P<format>[^{}]*))?\}\}")
_FORMAT = re.compile(r",?(?:\.\d{1,2})?[eEfFgG%]?")
"""Of Python's formats those that cannot ask for a text of any length."""
_OPENING = re.compile(r"\{\{")
NAMES = (
    "value",
    "threshold",
    "statistic",
    "reason",
    "rule",
    "mlapp",
    "node",
    "agent",
    "pipeline",
    "model",
    "severity",
)
"""What a text may name, besides ``labels.NAME``."""
_NUMBERS = frozenset({"value", "threshold"})


def template_mistake(text: str) -> str:
    """What is wrong with a text; empty when nothing is."""
    fields = list(_FIELD.finditer(text))
    if len(fields) != len(_OPENING.findall(text)):
        return "a value is written as {{ value }}, {{ value:.2f }} or {{ labels.region }}"
    for found in fields:
        name, spec = found["name"], found["format"]
        if name not in NAMES and not name.startswith("labels."):
            return f"there is no value {name!r}; there are: {', '.join(NAMES)} and labels.NAME"
        if spec is not None:
            if name not in _NUMBERS:
                return f"{name!r} is a text; only {' and '.join(sorted(_NUMBERS))} take a format"
            if not _FORMAT.fullmatch(spec.strip()):
                return f"{spec.strip()!r} is not a format of a number; write .2f, .3g, .1% or ,.0f"
    return ""


def render(text: str, values: Mapping[str, str | float]) -> str:
    """The text with its values; one that is not there is empty."""

    def value_of(found: re.Match[str]) -> str:
        value = values.get(found["name"], "")
        if isinstance(value, str):
            return value
        return format(value, (found["format"] or ".6g").strip())

    return _FIELD.sub(value_of, text)
