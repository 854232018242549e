"""How one value of an answer is written, in the terminal and in the report alike."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING = "-"
LARGE, MIDDLE, SMALL = 1_000, 10, 0.001
"""From here on numbers have no decimals, and one; below the last they are written with an exponent."""


def heading(column: str) -> str:
    """A column's name as people read it."""
    return column.replace("_", " ")


def cell(value: Any) -> str:
    """A value as people read it: days without hours, three decimals, thousands set apart."""
    if value is None or value is pd.NaT or (isinstance(value, float) and pd.isna(value)):
        return MISSING
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value)
    return str(value)


def rows(frame: pd.DataFrame) -> Iterator[list[str]]:
    """The cells of each row, column by column, so that each keeps its own type."""
    columns = [[cell(value) for value in frame[name].tolist()] for name in frame]
    yield from (list(row) for row in zip(*columns, strict=True))


def is_number(column: pd.Series) -> bool:
    """Whether a column is set to the right."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _number(value: float) -> str:
    if value == 0:
        return "0"
    size = abs(value)
    if size >= LARGE:
        return f"{value:,.0f}"
    if size >= MIDDLE:
        return f"{value:.1f}"
    return f"{value:.3f}" if size >= SMALL else f"{value:.0e}"
