"""Results of queries as a table, CSV, JSON or Parquet, on the terminal or in a file.

A table is for people: control characters are escaped in it, wherever it is written. JSON escapes the same characters in
its own way. CSV and Parquet are unchanged in files and pipes; CSV on a terminal is escaped like a table.
"""

from __future__ import annotations

import sys
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parallelm.mcenter.cells import as_json, csv_field, is_number, table_cell
from parallelm.mcenter.tables import aligned
from parallelm.mcenter.terminal import visible, write_text
from parallelm.operations.json_values import is_missing, scalar_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

FORMATS = ("table", "csv", "json", "parquet")


def result_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--format`` and ``--output``."""
    command = click.option(
        "--output",
        "-o",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write to this file.  [default: the terminal]",
    )(command)
    return click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Form of the result.",
    )(command)


def write_rows(rows: Sequence[Mapping[str, Any]], format_: str, output: Path | None) -> None:
    """Write rows that all have the keys of the first one, as ``write_result`` does."""
    import pandas as pd

    write_result(pd.DataFrame([dict(row) for row in rows], dtype=object), format_, output)


def write_result(frame: pd.DataFrame, format_: str, output: Path | None) -> None:
    """Write a frame in one of ``FORMATS``; raises ``click.ClickException`` when the file cannot be written."""
    if format_ == "parquet":
        _write_parquet(frame, output)
        return
    text = {"table": _table, "csv": _csv, "json": _json}[format_](frame, output)
    if output is None:
        write_text(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from error


def _table(frame: pd.DataFrame, _output: Path | None) -> str:
    columns, rows = _columns(frame), _rows(frame)
    if not rows:
        return "  ".join(visible(column) for column in columns) + "\n(no rows)"
    right = [all(is_number(row[index]) for row in rows) for index in range(len(columns))]
    return aligned(columns, [[table_cell(value) for value in row] for row in rows], right)


def _csv(frame: pd.DataFrame, output: Path | None) -> str:
    to_terminal = output is None and sys.stdout.isatty()
    lines = (
        ",".join(visible(field) if to_terminal else field for field in map(csv_field, row))
        for row in (_columns(frame), *_rows(frame))
    )
    return "\n".join(lines)


def _json(frame: pd.DataFrame, _output: Path | None) -> str:
    columns = _columns(frame)
    _refuse_equal_names(columns)
    return as_json([dict(zip(columns, row, strict=True)) for row in _rows(frame)], indent=2)


def _write_parquet(frame: pd.DataFrame, output: Path | None) -> None:
    if output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is binary: name a file with --output, or pipe it")
    import pyarrow as pa
    from pyarrow import parquet

    columns = _columns(frame)
    _refuse_equal_names(columns)
    arrays = [_arrow_array(frame.iloc[:, index]) for index in range(len(columns))]
    try:
        parquet.write_table(
            pa.Table.from_arrays(arrays, names=columns),
            str(output) if output is not None else sys.stdout.buffer,
        )
    except OSError as error:
        raise click.ClickException(f"cannot write {output or 'the output'}: {error.strerror}") from error


def _arrow_array(series: pd.Series[Any]) -> Any:
    """A column of Parquet: NaN stays a number, NULL is null; what Parquet has no type for is text."""
    import pyarrow as pa

    if series.dtype.kind in "mM" or str(series.dtype).startswith("datetime"):
        return pa.array(series, from_pandas=True)
    if series.dtype != object:
        return pa.array(series.to_numpy(), from_pandas=False)
    values = [None if is_missing(value) else value for value in series]
    try:
        return _typed(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else _text(value) for value in values], type=pa.string())


def _typed(values: list[Any]) -> Any:
    """Values with the type that they all have, mappings as Parquet's maps; raises pyarrow's errors when there is none."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds == {dict}:
        entries = [item for value in values for item in (value or {}).items()]
        keys, items = (_typed([entry[part] for entry in entries]) for part in (0, 1))
        if not entries:
            keys = items = pa.array([], type=pa.string())
        return pa.MapArray.from_arrays(_offsets(values), keys, items)
    if kinds == {list} and any(isinstance(each, dict) for value in values for each in value or ()):
        return pa.ListArray.from_arrays(
            _offsets(values), _typed([each for value in values for each in value or ()])
        )
    return pa.array(values, from_pandas=False)


def _offsets(values: Sequence[Any]) -> Any:
    """Where each list or mapping begins among the members of all; null where there is none."""
    import pyarrow as pa

    ends = [0, *accumulate(len(value or ()) for value in values)]
    starts = [None if value is None else start for value, start in zip(values, ends[:-1], strict=True)]
    return pa.array([*starts, ends[-1]], type=pa.int32())


def _text(value: Any) -> str:
    return as_json(value) if isinstance(value, dict | list | tuple) else scalar_text(value)


def _refuse_equal_names(columns: Sequence[str]) -> None:
    for index, name in enumerate(columns):
        if name in columns[:index]:
            raise click.ClickException(f"two columns are named {name!r}; rename one with AS")


def _columns(frame: pd.DataFrame) -> list[str]:
    return [str(column) for column in frame.columns]


def _rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame.itertuples(index=False, name=None))
