"""One value of a result: as a person reads it in a table, as a field of CSV, as JSON. No form changes what it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from parallelm.mcenter.terminal import json_escaped
from parallelm.operations.json_values import is_missing, plain, scalar_text

_WHOLE_DIGITS = 8
"""A float of so many digits is shown whole in a table."""
_SHOWN_DIGITS = 6


def is_number(value: Any) -> bool:
    """Whether a table aligns it to the right; NULL follows its column."""
    return is_missing(value) or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def table_cell(value: Any) -> str:
    """Integers whole; floats whole, or cut with ``…`` where more digits follow; NULL, NaN and Infinity by name."""
    if is_missing(value):
        return "NULL"
    if isinstance(value, float):
        return _short_float(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{scalar_text(key)}={table_cell(each)}" for key, each in value.items())
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return as_json(value)
    return scalar_text(value)


def csv_field(value: Any) -> str:
    """Numbers in full; NULL is an empty field, an empty text is quoted; nested values and bytes are JSON."""
    if is_missing(value):
        return ""
    nested = isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str))
    text = _json_text(value) if nested else scalar_text(value)
    if text and not any(char in text for char in ',"\r\n') and text == text.strip():
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def as_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON. What could steer a terminal is escaped in JSON's own way, which every reader undoes."""
    return json_escaped(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent))


def _json_text(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def _short_float(value: float) -> str:
    """The shortest text that reads as the same float; of many digits only the first, and ``…``."""
    text = scalar_text(value)
    if not math.isfinite(value) or value.is_integer():
        return text
    mantissa, exponent_sign, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    leading = whole.lstrip("-0")
    if len((leading + fraction).lstrip("0")) <= _WHOLE_DIGITS:
        return text
    zeros = 0 if leading else len(fraction) - len(fraction.lstrip("0"))
    shown = fraction[: zeros + max(1, _SHOWN_DIGITS - len(leading))]
    return text if shown == fraction else f"{whole}.{shown}…{exponent_sign}{exponent}"
