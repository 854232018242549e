"""One value of a result: as a person reads it in a table, as a field of CSV, as JSON. No form changes what it is."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from parallelm.mcenter.terminal import json_escaped

_WHOLE_DIGITS = 8
"""A float of so many digits is shown whole in a table."""
_SHOWN_DIGITS = 6
_NON_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def is_missing(value: Any) -> bool:
    """Whether it is NULL: None, or what pandas puts in its place; NaN is a number."""
    return value is None or type(value).__name__ in {"NaTType", "NAType"}


def is_number(value: Any) -> bool:
    """Whether it stands to the right in a table; NULL does as its column does."""
    return is_missing(value) or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))


def table_cell(value: Any) -> str:
    """Integers whole; floats whole, or cut with ``…`` where more digits follow; NULL, NaN and Infinity by name."""
    if is_missing(value):
        return "NULL"
    if isinstance(value, float):
        return _short_float(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_scalar_text(key)}={table_cell(each)}" for key, each in value.items())
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return as_json(value)
    return _scalar_text(value)


def csv_field(value: Any) -> str:
    """Numbers in full; NULL is an empty field, an empty text is quoted; nested values and bytes are JSON."""
    if is_missing(value):
        return ""
    nested = isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str))
    text = _json_text(value) if nested else _scalar_text(value)
    if text and not any(char in text for char in ',"\r\n') and text == text.strip():
        return text
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def as_json(value: Any, indent: int | None = None) -> str:
    """Strict JSON. What could steer a terminal is escaped in JSON's own way, which every reader undoes."""
    return json_escaped(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent))


def plain(value: Any) -> Any:
    """A value as JSON can state it: NaN and infinities as texts, bytes that are not UTF-8 as ``{"base64": …}``."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_scalar_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else _NON_FINITE.get(value, "NaN")
    if isinstance(value, bytes):
        return _plain_bytes(value)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int | str) else _scalar_text(value)


def _json_text(value: Any) -> str:
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def _plain_bytes(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _scalar_text(value: Any) -> str:
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else _NON_FINITE.get(value, "NaN")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _time_text(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _time_text(moment: datetime) -> str:
    """All times of the warehouse are UTC; a fraction has three, six or nine digits."""
    if moment.tzinfo is not None and moment.utcoffset() == timedelta(0):
        moment = moment.replace(tzinfo=None)
    text = moment.isoformat(sep=" ")
    while "." in text and text.endswith("000"):
        text = text[:-3].removesuffix(".")
    return text


def _short_float(value: float) -> str:
    """The shortest text that reads as the same float; of many digits only the first, and ``…``."""
    text = _scalar_text(value)
    if not math.isfinite(value) or value.is_integer():
        return text
    mantissa, exponent_sign, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    leading = whole.lstrip("-0")
    if len((leading + fraction).lstrip("0")) <= _WHOLE_DIGITS:
        return text
    zeros = 0 if leading else len(fraction) - len(fraction.lstrip("0"))
    kept = fraction[: zeros + max(1, _SHOWN_DIGITS - len(leading))]
    return text if kept == fraction else f"{whole}.{kept}…{exponent_sign}{exponent}"
