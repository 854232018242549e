"""Rows as a plain aligned table: readable in a terminal, whole when piped into a file or ``grep``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Text of rows that all have the keys of the first one; numbers stand to the right."""
    if not rows:
        return ""
    columns = list(rows[0])
    cells = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    right = [
        all(isinstance(row[column], int | float) and not isinstance(row[column], bool) for row in rows)
        for column in columns
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
