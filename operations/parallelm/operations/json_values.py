"""Values of records and results as JSON can hold them, and scalars as text, without loss."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

_DEEPEST: Final = 100
_HOLDERS: Final = (dict, list, tuple)
_NON_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def is_missing(value: Any) -> bool:
    """Whether it is NULL: None, or what pandas puts in its place; NaN is a number."""
    return value is None or type(value).__name__ in {"NaTType", "NAType"}


def read_json(text: str | bytes, **options: Any) -> Any:
    """A value of JSON from outside, as by ``json.loads``; raises ``ValueError`` also for one nested deeper than what handles it can go."""
    too_deep = f"it is nested deeper than {_DEEPEST} levels"
    try:
        found = json.loads(text, **options)
    except RecursionError as error:
        raise ValueError(too_deep) from error
    level = [found]
    for _ in range(_DEEPEST):
        level = [item for each in level for item in _items_of(each) if isinstance(item, _HOLDERS)]
        if not level:
            return found
    raise ValueError(too_deep)


def _items_of(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, _HOLDERS) else ()


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinities as texts, bytes that are not UTF-8 as ``{"base64": …}``."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {scalar_text(key): plain(item) for key, item in value.items()}
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
    return value if isinstance(value, int | str) else scalar_text(value)


def _plain_bytes(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def scalar_text(value: Any) -> str:
    """A number, time, text or the like in full: what is written reads as the same value."""
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
