"""Which values belong to the same category, and which texts are numbers.

A category is identified by a text, since bins are stored as texts. It depends on the value alone, never on the order of
rows:

- a number is identified by its shortest text; equal numbers of one column are one category whatever their type: 1, 1.0
  and ``Decimal("1.00")``;
- a truth value is not a number: ``True`` is "True", never the category of 1;
- a text is identified by itself: "1" is the category of the number 1, since a file that is read in chunks yields both,
  but "00501", "501" and "501.0" are three categories.
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EQUAL_READ_EQUAL: Final = frozenset({str, int, float, bool, bytes})
"""Equal values of one of these types have the same text, so they can be counted before the conversion to text."""
_NOT_COMPARABLE: Final = (Exception,)
"""Objects run their own code to compare, hash and cast, which may raise anything."""
_NUMBER: Final = re.compile(
    r"""\ *(?:
        -?(?P<whole>0|[1-9][0-9]*)                            # as programs write integers: no leading zeros, no plus sign
        | -?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?
        | -?(?:0|[1-9][0-9]*)[eE][+-][0-9]{2,}                # "1e-05" is a number, "7e0" and "12e5" are codes
        | -?inf | nan
    )\ *""",
    re.VERBOSE | re.IGNORECASE,
)
_SURELY_EXACT_DIGITS: Final = 15


def may_be_number(value: Any) -> bool:
    """False for a text that is not written as a number, or that float64 would turn into another number."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return True
    found = _NUMBER.fullmatch(value)
    if found is None:
        return False
    whole = found["whole"]
    return whole is None or len(whole) <= _SURELY_EXACT_DIGITS or _is_exact(whole)


def _is_exact(digits: str) -> bool:
    try:
        return int(float(digits)) == int(digits)
    except (OverflowError, ValueError):
        return False


class Categories:
    """Counts of values by category."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._values: dict[str, Any] = {}
        """One value of each category, used to order them."""

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, values: Sequence[Any]) -> None:
        """Count values one by one; exceptions of their ``hash`` and ``str`` pass through."""
        kinds = set(map(type, values))
        for kind in kinds:
            of_kind = values if len(kinds) == 1 else [value for value in values if type(value) is kind]
            if kind in _EQUAL_READ_EQUAL:
                self.add(Counter(of_kind).items())
            else:
                self.add((value, 1) for value in of_kind)

    def add(self, pairs: Iterable[tuple[Any, int]]) -> None:
        """Count values that occur several times."""
        for value, times in pairs:
            text = _text(value)
            known = self._values.setdefault(text, value)
            if type(value).__name__ < type(known).__name__:  # independent of the order of rows
                self._values[text] = value
            self._counts[text] = self._counts.get(text, 0) + times

    def ordered(self) -> dict[str, int]:
        """Counts by category, ordered by value if the values can be ordered, else by text."""
        counts, values = dict(self._counts), self._values
        for text, value in values.items():
            twin = text.removesuffix(".0")
            if isinstance(value, float) and twin != text and isinstance(values.get(twin), int):
                counts[twin] += counts.pop(text)
        texts = sorted(counts)
        try:
            texts.sort(key=values.__getitem__)
        except _NOT_COMPARABLE:
            texts.sort()
        return {text: counts[text] for text in texts}


def by_text(pairs: Iterable[tuple[Any, int]]) -> dict[str, int]:
    """Counts by category, from values and their frequencies."""
    categories = Categories()
    categories.add(pairs)
    return categories.ordered()


def _has_only_an_address(kind: Any) -> bool:
    return kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
    elif isinstance(value, str):
        text = str.__str__(value)
    elif isinstance(value, float):
        text = str(value + 0.0)  # -0.0 is 0.0
    elif isinstance(value, Decimal) and value.is_finite():
        text = (
            format(value.normalize() + 0, "f") if abs(value.adjusted()) < _SURELY_EXACT_DIGITS else str(value)
        )
    else:
        hash(value)
        if _has_only_an_address(type(value)):
            raise TypeError(f"a {type(value).__name__} has no text but its address")
        text = str(value)
    return text.encode(errors="backslashreplace").decode()
