"""Plain values as YAML that people read: blocks, and short mappings and lists on a line."""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/_][\w./-]*( [\w./-]+)*", re.ASCII)
_WORDS = frozenset({"true", "false", "null"})
_LINE = 100


def yaml_text(value: dict[str, Any]) -> str:
    """A document; read again it has the same values."""
    return "\n".join(_block(value)) + "\n"


def _block(value: dict[str, Any]) -> list[str]:
    lines = []
    for key, each in value.items():
        name, short = _scalar(key), _flow(each)
        is_short = len(name) + len(short) < _LINE and not (isinstance(each, list) and _has_mappings(each))
        if not isinstance(each, dict | list) or not each or is_short:
            lines.append(f"{name}: {short}")
        else:
            inner = _block(each) if isinstance(each, dict) else _items(each)
            lines += [f"{name}:", *(f"  {line}" for line in inner)]
    return lines


def _items(values: list[Any]) -> list[str]:
    lines = []
    for each in values:
        short = _flow(each)
        if isinstance(each, dict) and each and len(short) >= _LINE:
            first, *rest = _block(each)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        else:
            lines.append(f"- {short}")
    return lines


def _has_mappings(values: list[Any]) -> bool:
    return any(isinstance(each, dict) for each in values)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    written = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in written)
