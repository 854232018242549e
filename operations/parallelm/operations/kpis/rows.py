"""CSV text to rows with their lines: the delimiter, the ``sep=`` line, the header, blank rows and columns."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis.format import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.operations.kpis.format import KpiFileFormat

DELIMITERS = (",", ";", "\t", "|")
MOST_ROWS = 5_000_000
"""Of one file: all are in memory at a time."""
_SEP_LINE = re.compile(r'^"?sep=([^"\r\n])"?[,;\t|]*$', re.IGNORECASE)
_INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
_FORMULA_TEXT = re.compile(r'^="(.*)"$', re.DOTALL)
_DIGITS = re.compile(r"[+-]?\d+\Z", re.ASCII)

Row = tuple[int, list[str]]
"""Number of its first line, and its cells."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows below the header."""

    header: Sequence[str]
    """Names of the columns; those of ``REQUIRED`` under these names."""
    rows: Sequence[Row]
    """Without blank rows. A row may have fewer or more cells than there are columns."""
    delimiter: str


def read_sheet(text: str, wanted: KpiFileFormat) -> Sheet:
    """Rows of CSV text; raises ``KpiFileError`` when it is not CSV or lacks a column."""
    delimiter, rows = _begin(text, wanted)
    line, names = next(rows, (1, []))
    header = [_clean(name) for name in names]
    body = list(rows)
    _refuse_unquoted_decimals(header, body, delimiter)
    return make_sheet(line, header, body, wanted, delimiter)


def csv_columns(text: str, wanted: KpiFileFormat) -> list[str]:
    """Names in the first row of CSV text; raises ``KpiFileError`` when it is not CSV."""
    _, rows = _begin(text, wanted)
    return [_clean(name) for name in next(rows, (1, []))[1]]


def _begin(text: str, wanted: KpiFileFormat) -> tuple[str, Iterator[Row]]:
    """The delimiter, and the rows from the header on."""
    first = next((line for line in text.splitlines() if line.strip()), "").strip(" ")
    stated = _SEP_LINE.match(first)
    delimiter = wanted.delimiter or (stated[1] if stated else "") or _delimiter(text, wanted)
    rows = _rows(text, delimiter)
    if stated:
        next(rows, None)
    return delimiter, rows


def make_sheet(
    line: int, header: Sequence[str], body: Sequence[Row], wanted: KpiFileFormat, delimiter: str
) -> Sheet:
    """Rows under the columns that are asked for; raises ``KpiFileError`` when one is missing."""
    left_out = _ignored(header, wanted) | {
        index
        for index, name in enumerate(header)
        if not name and not any(index < len(cells) and cells[index] for _, cells in body)
    }
    names = [name for index, name in enumerate(header) if index not in left_out]
    named = [wanted.kpi] if wanted.kpi else []
    if named:
        _refuse_second_name(line, names, wanted)
        names = [*names, wanted.columns.get("kpi", "kpi")]
    columns = _header(line, names, wanted)
    rows = [(number, _without_empty_end(cells, len(header))) for number, cells in body]
    filled = [
        (number, [cell for index, cell in enumerate(cells) if index not in left_out] + named)
        for number, cells in rows
    ]
    return Sheet(columns, filled, delimiter)


def _ignored(header: Sequence[str], wanted: KpiFileFormat) -> set[int]:
    unknown = sorted(set(wanted.ignore) - set(header))
    if unknown:
        raise KpiFileError(f"there is no column {unknown[0]!r} to ignore; there are: {', '.join(header)}")
    return {index for index, name in enumerate(header) if name in wanted.ignore}


def _refuse_second_name(line: int, names: list[str], wanted: KpiFileFormat) -> None:
    if "kpi" in _places(names, wanted.columns):
        raise KpiFileError(
            f"line {line} has a column of KPI names, and --kpi {wanted.kpi!r} is given; leave one out, or ignore the column"
        )


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    """Rows that are not blank. The reader takes LF, CRLF and CR as ends of lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        if line > MOST_ROWS + 1:
            raise KpiFileError(f"has more than {MOST_ROWS} lines: send it in parts")
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise KpiFileError(f"line {line} is not CSV: {error}") from error
        cells = [_clean(cell) for cell in row]
        if any(cells):
            yield line, cells


def _clean(cell: str) -> str:
    """A cell without the space around it, and without the ``="…"`` by which spreadsheets keep a text a text."""
    stripped = cell.strip()
    if not stripped.isascii():
        stripped = stripped.strip(_INVISIBLE).strip()
    formula = _FORMULA_TEXT.match(stripped) if stripped.startswith("=") else None
    return formula[1] if formula else stripped


def _without_empty_end(cells: list[str], count: int) -> list[str]:
    while len(cells) > count and not cells[-1]:
        cells = cells[:-1]
    return cells


def _delimiter(text: str, wanted: KpiFileFormat) -> str:
    """The delimiter that finds the most of the required columns in the header, then the most columns at all."""

    def score(delimiter: str) -> tuple[int, int]:
        try:
            names = next(_rows(text, delimiter), (1, []))[1]
        except KpiFileError:
            return 0, 0
        return len(_places(names, wanted.columns)), len(names)

    return max(DELIMITERS, key=score)


def _places(names: Sequence[str], columns: Mapping[str, str]) -> dict[str, list[int]]:
    """Where each required column stands: by its exact name, or else ignoring case."""
    found: dict[str, list[int]] = {}
    for required in REQUIRED:
        name = columns.get(required, required)
        same = [index for index, each in enumerate(names) if each == name]
        alike = [index for index, each in enumerate(names) if each.casefold() == name.casefold()]
        if same or alike:
            found[required] = same if required in columns and same else alike
    return found


def _header(line: int, names: list[str], wanted: KpiFileFormat) -> list[str]:
    unknown = set(wanted.columns) - set(REQUIRED)
    if unknown:
        raise KpiFileError(f"there is no column {min(unknown)!r} to map; it is kpi, timestamp or value")
    if not names:
        raise KpiFileError("the file is empty; its first line must name the columns kpi, timestamp, value")
    places = _places(names, wanted.columns)
    missing = [wanted.columns.get(name, name) for name in REQUIRED if name not in places]
    if missing:
        # A name that the caller gives stands behind those of the file.
        asked, has = (
            ("timestamp and value", names[:-1]) if wanted.kpi else ("kpi, timestamp and value", names)
        )
        raise KpiFileError(
            f"line {line} must name the columns {asked}; it lacks {', '.join(missing)} "
            f"and has: {', '.join(has)}; name a column with --column, for example "
            "--column timestamp=Date, and the delimiter with --delimiter"
        )
    header, taken = list(names), set[int]()
    for required, indexes in places.items():
        if len(indexes) > 1:
            both = " and ".join(repr(names[index]) for index in indexes[:2])
            raise KpiFileError(
                f"line {line}: columns {both} may both be the {required}; say which with --column {required}=…"
            )
        if indexes[0] in taken:
            raise KpiFileError(f"column {names[indexes[0]]!r} cannot be two of kpi, timestamp and value")
        taken.add(indexes[0])
        header[indexes[0]] = required
    for index, name in enumerate(header):
        if not name:
            raise KpiFileError(f"line {line}: column {index + 1} has values and no name; name or remove it")
        if name in header[:index]:
            raise KpiFileError(f"line {line}: column {name!r} appears twice; rename one")
    return header


def _refuse_unquoted_decimals(header: Sequence[str], body: Sequence[Row], delimiter: str) -> None:
    """Refuse a file whose rows have a field too many since the comma is also the decimal sign.

    Its rows with whole numbers look right; they must not be the only ones read.
    """
    if delimiter != ",":
        return
    for line, cells in body:
        if len(cells) == len(header) + 1 and any(
            _DIGITS.match(left) and _DIGITS.match(right) for left, right in pairwise(cells)
        ):
            raise KpiFileError(
                f"line {line} has {len(header) + 1} fields, the header {len(header)}: the comma seems to be the "
                "decimal sign as well as the delimiter; export the file with semicolons or with points as decimal sign"
            )
