"""Checks on what users pass to statistic objects, and its JSON. None of them needs numpy; all of them know its scalars."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any, Final, Protocol, TypeGuard

from parallelm.mlops.mlops_exception import MLOpsException

LARGEST_EXACT_INTEGER: Final = 2**53
_REAL_KINDS: Final = "biuf"
_IN_ORDER: Final = (Sequence, Iterator, KeysView, ValuesView)
_warned_inexact = False
_log = logging.getLogger(__name__)


class _NumpyScalar(Protocol):
    dtype: Any

    def item(self) -> Any: ...


def _is_numpy_scalar(value: object) -> TypeGuard[_NumpyScalar]:
    return getattr(value, "shape", None) == () and hasattr(value, "dtype") and hasattr(value, "item")


def number(value: object, what: str) -> int | float:
    """The plain Python number (int, float or bool) that is ``value``; anything that is none raises ``MLOpsException``."""
    plain: int | float
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        plain = int(value)
    elif isinstance(value, float):
        plain = float(value)
    elif _is_numpy_scalar(value) and getattr(value.dtype, "kind", "") in _REAL_KINDS:
        item: Any = value.item()
        plain = item if isinstance(item, int) else float(item)  # a long double has no plain Python form
    else:
        raise MLOpsException(f"{what} must be a number, got {type(value).__name__}")
    if isinstance(plain, int):
        _check_size(plain, what)
    return plain


def _check_size(value: int, what: str) -> None:
    global _warned_inexact  # noqa: PLW0603 - one warning a process
    if -LARGEST_EXACT_INTEGER <= value <= LARGEST_EXACT_INTEGER:
        return
    try:
        float(value)
    except OverflowError:
        raise MLOpsException(
            f"{what} is an integer of {value.bit_length()} bits: too large for a float64"
        ) from None
    if not _warned_inexact:
        _warned_inexact = True
        _log.warning("%s is beyond 2**53 and is kept as the nearest float64; this is said once", what)


def items(values: object, what: str) -> list[Any]:
    """The elements of a list, tuple, one-dimensional array or Series, of a dict's keys or values, or of an iterator.

    ``map(str, …)`` and ``keys()`` gave lists when components were first written.
    """
    if isinstance(values, _IN_ORDER) and not isinstance(values, (str, bytes, bytearray)):
        return list(values)
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 1 and hasattr(values, "tolist"):
        return list(values.tolist())
    raise MLOpsException(f"{what} must be a list, got {type(values).__name__}")


def numbers(values: object, what: str) -> list[int | float]:
    """The elements of a list as plain numbers."""
    return [number(value, f"each element of {what}") for value in items(values, what)]


def string(value: object, what: str) -> str:
    """A text that can travel: a ``str`` that UTF-8 can hold."""
    if not isinstance(value, str):
        raise MLOpsException(f"{what} must be a string, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MLOpsException(f"{what} {value!r} holds a lone surrogate, which UTF-8 cannot carry") from None
    return str(value)


def strings(values: object, what: str) -> list[str]:
    """The elements of a list as texts."""
    return [string(value, f"each element of {what}") for value in items(values, what)]


def shown(value: object, what: str) -> str:
    """A label made of whatever names a column or class: its ``str``."""
    try:
        return string(str(value), what)
    except MLOpsException:
        raise
    except Exception as error:
        raise MLOpsException(f"{what} of type {type(value).__name__} has no text form: {error}") from error


def jsonable(value: object, what: str) -> Any:
    """``value`` in JSON's types (dict, list, str, int, float, bool, None), numpy scalars included."""
    try:
        return _jsonable(value, what)
    except RecursionError:
        raise MLOpsException(f"{what} is nested too deeply, or holds itself") from None


def _jsonable(value: object, what: str) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        return string(value, what)
    if isinstance(value, Mapping):
        return {_key(key, what): _jsonable(element, what) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(element, what) for element in value]
    if isinstance(value, (bool, int, float)) or _is_numpy_scalar(value):
        return number(value, what)
    raise MLOpsException(f"{what} holds a value of type {type(value).__name__}, which JSON cannot hold")


def _key(key: object, what: str) -> str:
    if isinstance(key, (bool, int, float)) or _is_numpy_scalar(key):
        return str(number(key, f"a key of {what}"))
    return string(key, f"a key of {what}")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _finite(element) for key, element in value.items()}
    if isinstance(value, list):
        return [_finite(element) for element in value]
    return value


def json_text(value: Any) -> str:
    """Valid JSON, on one line: non-finite numbers are the strings "NaN", "Infinity" and "-Infinity"."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
