"""Values that programs pass by mistake, and values whose own code misbehaves when it is asked anything."""

from __future__ import annotations

import array
import collections
import dataclasses
import enum
import itertools
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

QUESTIONS = (
    "__eq__",
    "__ne__",
    "__lt__",
    "__bool__",
    "__len__",
    "__iter__",
    "__getitem__",
    "__hash__",
    "__repr__",
    "__str__",
    "__format__",
    "__int__",
    "__float__",
    "__index__",
    "__contains__",
    "__call__",
    "__fspath__",
    "__bytes__",
    "__array__",
    "items",
    "keys",
    "tolist",
    "item",
    "encode",
    "lower",
)


class RefusedError(Exception):
    """What these values raise; it has no text either."""

    def __str__(self) -> str:
        raise RuntimeError


def _refuse(*_args: Any, **_kwargs: Any) -> Any:
    raise RefusedError


class Proxy:
    """As an unbound proxy of a web framework: answers no question, not even for its class."""

    def __getattribute__(self, name: str) -> Any:
        raise RefusedError


def unwilling(*bases: type, **extra: Any) -> type:
    """A class all of whose special methods raise."""
    return type("Unwilling", bases, dict.fromkeys(QUESTIONS, _refuse) | extra)


class OddText(str):
    """A text whose every conversion is another text."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\ud800"

    def __repr__(self) -> str:
        return "\ud800\n" * 1000

    def __eq__(self, other: object) -> bool:
        raise RefusedError

    __hash__ = _refuse


class OddNumber(int):
    def __int__(self) -> int:
        raise RefusedError

    def __float__(self) -> float:
        return float("nan")

    def __index__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "\ud800"

    def __eq__(self, other: object) -> Any:
        return np.array([True, False])

    __hash__ = None  # type: ignore[assignment]


class OddEqual:
    """Its comparisons have no truth, as those of arrays."""

    def __eq__(self, other: object) -> Any:
        return np.array([True, False])

    __hash__ = None  # type: ignore[assignment]


class Shapeless:
    shape = "x"
    dtype = None
    columns = 5

    def tolist(self) -> Any:
        return self

    def item(self) -> Any:
        return self


class Endless(Sequence[int]):
    """Has a length and no elements."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        raise RefusedError


class OddMapping(Mapping[Any, Any]):
    def __len__(self) -> int:
        return -1  # noqa: PLE0303 - that is what is wrong with it

    def __iter__(self) -> Iterator[Any]:
        yield "a"

    def __getitem__(self, key: Any) -> Any:
        raise RefusedError


@dataclasses.dataclass
class Point:
    x: float = 1.0


class Color(enum.Enum):
    RED = np.array([1, 2])


class Name(str, enum.Enum):  # noqa: UP042 - as component code writes it
    LOSS = "loss"


def _recursive() -> list[Any]:
    looped: list[Any] = [1]
    looped.extend([looped] * 9)
    return looped


def _recursive_dict() -> dict[str, Any]:
    looped: dict[str, Any] = {}
    looped["self"] = looped
    return looped


def _many_times_over() -> list[Any]:
    value: list[Any] = [0]
    for _ in range(40):
        value = [value] * 10
    return value


def _released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def awkward_values() -> list[Any]:
    """Fresh ones: iterators are used up."""
    return [
        np.array([1.0, 2.0]),
        np.array([]),
        np.array(["a", "b"]),
        np.zeros((2, 2)),
        np.array([1, "a", None], dtype=object),
        np.bool_(True),
        np.float64("nan"),
        np.longdouble("1e4000"),
        np.datetime64("NaT"),
        np.timedelta64(1, "s"),
        np.zeros(2, dtype=[("a", "f8")]),
        np.zeros(2, dtype=[("a", "f8")])[0],
        np.ma.masked,
        np.array(5),
        np.str_("x\ud800"),
        np.bytes_(b"\xff"),
        pd.NA,
        pd.NaT,
        pd.Series([1.0, 2.0]),
        pd.Series([pd.NA, None]),
        pd.DataFrame({"shape": [1], "dtype": [2], "columns": [3]}),
        pd.Index(["a", "b"]),
        pd.Timestamp("2026-03-01"),
        pd.Period("2026-03-01", "D"),
        pd.Interval(0, 1),
        pd.Categorical(["a", 1]),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("1e999999"),
        Fraction(1, 3),
        10**5000,
        -(10**400),
        float("inf"),
        1j,
        True,
        0,
        "",
        "\ud800",
        "a\nb\x1b[31m",
        "x" * 10_000,
        "1" * 5000,
        "1" * 4301 + ".5",
        b"\xff",
        bytearray(b"\xff"),
        memoryview(b"abc"),
        memoryview(array.array("d", [1.0, 2.0])),
        memoryview(b"abcdef")[::2],
        _released(),
        array.array("d", [1.0, 2.0]),
        collections.deque([1, 2]),
        collections.UserDict({"a": 1}),
        collections.UserList([1]),
        collections.UserString("a"),
        (index for index in range(3)),
        (_refuse() for _ in range(1)),
        itertools.count(),
        iter(["a", "b"]),
        {1, 2},
        frozenset({1}),
        {1: "a", "1": "b"},
        {None: 1},
        {(1, 2): 3},
        {"\ud800": 1},
        _recursive(),
        _recursive_dict(),
        _many_times_over(),
        [[[[]]]],
        [None, None],
        ["a", "a"],
        [1, "1"],
        (),
        range(10**9),
        Point(),
        Point,
        Color.RED,
        Name.LOSS,
        len,
        ...,
        NotImplemented,
        ValueError("x"),
        object(),
        Proxy(),
        OddText("a"),
        OddNumber(3),
        OddEqual(),
        Shapeless(),
        Endless(),
        OddMapping(),
        unwilling()(),
        unwilling(str)("a"),
        unwilling(float)(1.5),
        unwilling(int)(3),
        unwilling(list)([1]),
        unwilling(dict)({"a": 1}),
        unwilling(bytes)(b"a"),
        unwilling(tuple)((1, 2)),
        unwilling(__class__=property(_refuse))(),
        unwilling(shape=property(_refuse), dtype=property(_refuse))(),
        unwilling(report=property(_refuse))(),
    ]
