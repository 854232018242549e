"""A table with named columns and rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from parallelm.mlops._reporting.payloads import StructuredReport
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import distinct, is_text, type_name
from parallelm.mlops.stats._statistic import Statistic
from parallelm.mlops.stats._values import items, json_text, jsonable, nested, shown, string
from parallelm.mlops.stats_category import StatGraphType, StatsMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Table(Statistic):
    """A table; rows and columns keep their order. An unnamed row has the name "".

    Raises ``MLOpsException`` for two columns, or two named rows, with the same name. Unnamed rows may repeat.

    >>> Table().name("t").cols(["a", "b"]).add_row("r1", [1, 2]).report().text
    '{"r1":{"a":1, "b":2}}'
    """

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[str] = []
        self._rows: list[tuple[str, list[Any]]] = []

    def columns_names(self, name_list: Sequence[object]) -> Self:
        """Set the names of the columns; other values than texts are converted with ``str``."""
        self._columns = [shown(name, "a column name") for name in items(name_list, "column names")]
        return self

    def cols(self, name_list: Sequence[object]) -> Self:
        """Set the names of the columns."""
        return self.columns_names(name_list)

    def add_row(self, arg1: str | Sequence[object], arg2: Sequence[object] | None = None) -> Self:
        """Add a row: ``add_row(name, [cells])`` or ``add_row([cells])``."""
        if is_text(arg1):
            name = string(arg1, "a row name")
            if arg2 is None:
                raise MLOpsException(f"row {name!r} has no cells: call add_row(name, cells)")
            cells = items(arg2, "a row")
        elif arg2 is not None:
            raise MLOpsException(f"the name of a row must be a string, got {type_name(arg1)}")
        else:
            name, cells = "", items(arg1, "a row")
        if self._rows and len(cells) != len(self._rows[0][1]):
            raise MLOpsException(
                f"row {name!r} of table {self._name!r} has {len(cells)} cells, the rows before it "
                f"{len(self._rows[0][1])}"
            )
        self._rows.append((name, [_cell(cell) for cell in cells]))
        return self

    def add_rows(self, rows: Sequence[Sequence[object]]) -> Self:
        """Add unnamed rows: one list of cells, or a list of such lists."""
        for row in nested(rows, "rows"):
            self.add_row(items(row, "each of the rows"))
        return self

    def report(self) -> StructuredReport:
        """The table as one JSON object: row name to (column to cell)."""
        if not self._rows:
            raise MLOpsException(f"table {self._name!r} has no rows")
        width = len(self._rows[0][1])
        if len(self._columns) != width:
            raise MLOpsException(
                f"table {self._name!r} has {len(self._columns)} column names for rows of {width} cells"
            )
        distinct(self._columns, f"in table {self._name!r}, the column")
        distinct((name for name, _ in self._rows if name), f"in table {self._name!r}, the row")
        text = _object(
            (name, _object(zip(self._columns, map(json_text, cells), strict=True)))
            for name, cells in self._rows
        )
        return StructuredReport(
            name=self._name,
            graph_type=str(StatGraphType.MATRIX),
            mode=str(StatsMode.Instant),
            content_type="application/json",
            payload=text.encode(),
            histograms=(),
            text=text,
        )


class _Members(list[Any]):
    """A JSON object as pairs, since the name "" may repeat."""


def table_rows(payload: bytes | str) -> list[tuple[str, list[str], list[Any]]]:
    """Rows of a reported table: (row name, columns, cells). A dict could hold only one unnamed row."""
    table = json.loads(payload, object_pairs_hook=_Members)
    return [(name, [column for column, _ in row], [_plain(cell) for _, cell in row]) for name, row in table]


def _plain(cell: Any) -> Any:
    if isinstance(cell, _Members):
        return {name: _plain(value) for name, value in cell}
    return [_plain(value) for value in cell] if isinstance(cell, list) else cell


def _cell(value: object) -> Any:
    """A cell in JSON's types; values of other types (a date, a Decimal) as text."""
    try:
        return jsonable(value, "a cell")
    except MLOpsException:
        return shown(value, "a cell")


def _object(members: Iterable[tuple[str, str]]) -> str:
    """A JSON object that may have several members with the name "", for unnamed rows."""
    return "{" + ", ".join(f"{json_text(key)}:{value}" for key, value in members) + "}"
