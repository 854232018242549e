"""Rows as a plain aligned table: readable in a terminal, whole when piped into a file or ``grep``."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from parallelm.mcenter.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Text of rows that all have the keys of the first one; columns of numbers are right-aligned."""
    if not rows:
        return ""
    columns = list(rows[0])
    right = [all(_is_number(row[column]) for row in rows) for column in columns]
    cells = [["" if row[column] is None else str(row[column]) for column in columns] for row in rows]
    return aligned(columns, cells, right)


def aligned(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Text of a table, one line a row; what could steer a terminal is shown as an escape."""
    lines = [[visible(cell) for cell in line] for line in (columns, *cells)]
    widths = [max(_width(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        "  ".join(
            _padded(cell, width, to_right=to_right)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _padded(cell: str, width: int, *, to_right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if to_right else cell + space


def _width(text: str) -> int:
    """Columns of the terminal that a text takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
