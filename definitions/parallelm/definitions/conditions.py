"""Conditions on a number as people write them: ``>= 0.9``."""

from __future__ import annotations

import math
import operator
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")


def parse_condition(text: str) -> tuple[str, float]:
    """Operator and number of a condition; raises ``ValueError`` saying what is allowed."""
    found = _FORM.fullmatch(text)
    try:
        number = float(found[2]) if found else math.nan
    except ValueError:
        number = math.nan
    if found is None or not math.isfinite(number):
        raise ValueError(
            f"{text!r} is not a condition; write an operator ({', '.join(_OPERATORS)}) and a number, as in '>= 0.9'"
        )
    return found[1], number


def check_condition(text: object) -> object:
    """``text`` when it is a condition; raises ``ValueError``. What is not text is reported elsewhere."""
    if isinstance(text, str):
        parse_condition(text)
    return text


def holds(condition: str, value: float) -> bool:
    """Whether a value meets a condition; NaN meets none."""
    name, number = parse_condition(condition)
    return not math.isnan(value) and _OPERATORS[name](value, number)
