"""Checks of callers' values, and their conversion to JSON. They support numpy's scalars without importing numpy."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from itertools import islice
from typing import Any, Final, Protocol, TypeGuard

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import distinct, guarded, quoted, type_name

LARGEST_EXACT_INTEGER: Final = 2**53
MOST_ELEMENTS: Final = 500_000
"""Limit for iterators and nested containers: more would not fit in a record, and some iterators never end."""
MOST_SHOWN: Final = 10_000
"""Limit of the elements of a container that is shown as its ``str``."""
DEEPEST: Final = 100
"""Levels of nesting that all JSON readers of the platform accept."""
_REAL_KINDS: Final = "biuf"
_IN_ORDER: Final = (Sequence, Iterator, KeysView, ValuesView)
_warned_inexact = False
_log = logging.getLogger(__name__)


class _NumpyScalar(Protocol):
    dtype: Any

    def item(self) -> Any: ...


def _is_numpy_scalar(value: object) -> TypeGuard[_NumpyScalar]:
    shape = getattr(value, "shape", None)
    return isinstance(shape, tuple) and not shape and hasattr(value, "dtype") and hasattr(value, "item")


@guarded
def number(value: object, what: str) -> int | float:
    """``value`` as a plain Python number (int, float or bool); raises ``MLOpsException`` for anything else."""
    plain: int | float
    if isinstance(value, bool):
        return value
    # The base types' own conversions: a subclass may have overridden its ``__int__`` or ``__float__``.
    if isinstance(value, int):
        plain = int.__int__(value)
    elif isinstance(value, float):
        plain = float.__float__(value)
    elif _is_numpy_scalar(value) and getattr(value.dtype, "kind", "") in _REAL_KINDS:
        item: Any = value.item()
        plain = item if type(item) in {int, bool} else float(item)  # a long double has no plain Python form
    else:
        raise MLOpsException(f"{what} must be a number, got {type_name(value)}")
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
        _log.warning("%s is beyond 2**53 and is stored as the nearest float64; this is logged once", what)


@guarded
def items(values: object, what: str) -> list[Any]:
    """The elements of a list, tuple, one-dimensional array or Series, of a dict's keys or values, or of an iterator.

    ``map(str, …)`` and ``keys()`` returned lists when components were first written. Lazy values, such as iterators and
    ranges, may have half a million elements at most.
    """
    if isinstance(values, (list, tuple)):
        return list(values)
    if isinstance(values, _IN_ORDER) and not isinstance(values, (str, bytes, bytearray)):
        return _drawn(values, what)
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 1 and hasattr(values, "tolist"):
        return list(values.tolist())
    raise MLOpsException(f"{what} must be a list, got {type_name(values)}")


@guarded
def nested(values: object, what: str) -> list[Any]:
    """The elements of a list of lists, or the rows of a two-dimensional array as lists."""
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 2 and hasattr(values, "tolist"):  # noqa: PLR2004 - rows and columns
        return list(values.tolist())
    return items(values, what)


def _drawn(values: Iterable[Any], what: str) -> list[Any]:
    drawn = list(islice(values, MOST_ELEMENTS + 1))
    if len(drawn) > MOST_ELEMENTS:
        raise MLOpsException(f"{what} has more than {MOST_ELEMENTS} elements, and is not a list")
    return drawn


def numbers(values: object, what: str) -> list[int | float]:
    """The elements of a list as plain numbers."""
    return [number(value, f"each element of {what}") for value in items(values, what)]


@guarded
def string(value: object, what: str) -> str:
    """A ``str`` that UTF-8 can encode; of a ``str`` enum's member its value."""
    if not isinstance(value, str):
        raise MLOpsException(f"{what} must be a string, got {type_name(value)}")
    text = str.__str__(value)  # a subclass may have overridden its own
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MLOpsException(
            f"{what} {quoted(text)} holds a lone surrogate, which UTF-8 cannot carry"
        ) from None
    return text


@guarded
def coordinate(value: object, what: str) -> int | float | str:
    """A coordinate on an axis: a number or a text."""
    return string(value, what) if isinstance(value, str) else number(value, what)


def strings(values: object, what: str) -> list[str]:
    """The elements of a list as texts."""
    return [string(value, f"each element of {what}") for value in items(values, what)]


@guarded
def shown(value: object, what: str) -> str:
    """The label for a column or class: a text itself, the ``str`` of anything else."""
    if isinstance(value, str):
        return string(value, what)
    check_extent(value, what)
    return string(str(value), what)


@guarded
def check_extent(value: object, what: str) -> None:
    """Raise for containers whose ``str`` would be very long; nested references to one list multiply its length."""
    _check_extent(value, what, 0, [MOST_SHOWN])


def _check_extent(value: object, what: str, depth: int, left: list[int]) -> None:
    left[0] -= 1
    if depth > DEEPEST or left[0] < 0:
        raise MLOpsException(f"{what} of type {type_name(value)} has too many elements to be shown")
    if isinstance(value, Mapping):
        for key, element in value.items():
            _check_extent(key, what, depth + 1, left)
            _check_extent(element, what, depth + 1, left)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for element in value:
            _check_extent(element, what, depth + 1, left)


@guarded
def jsonable(value: object, what: str) -> Any:
    """``value`` in JSON's types (dict, list, str, int, float, bool, None), numpy scalars included."""
    return _Plain(what).of(value, 0)


class _Plain:
    """One conversion to JSON's types, bounded because a value may contain itself or the same list many times."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = MOST_ELEMENTS

    def of(self, value: object, depth: int) -> Any:
        what = self._what
        self._left -= 1
        if depth > DEEPEST or self._left < 0:
            raise MLOpsException(
                f"{what} is nested more than {DEEPEST} levels deep, holds itself, "
                f"or has more than {MOST_ELEMENTS} elements"
            )
        if value is None:
            return None
        if isinstance(value, str):
            return string(value, what)
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, (list, tuple)):
            return [self.of(element, depth + 1) for element in value]
        if isinstance(value, (bool, int, float)) or _is_numpy_scalar(value):
            return number(value, what)
        raise MLOpsException(f"{what} holds a value of type {type_name(value)}, which JSON cannot hold")

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        members = [(_key(key, self._what), self.of(element, depth + 1)) for key, element in value.items()]
        distinct((key for key, _ in members), f"in {self._what}, the key")
        return dict(members)


def _key(key: object, what: str) -> str:
    if isinstance(key, str):
        return string(key, f"a key of {what}")
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
