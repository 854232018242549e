"""Results of queries as a table, CSV, JSON or Parquet, on the terminal or in a file."""

from __future__ import annotations

import json
import math
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parallelm.mcenter.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Callable

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


def write_result(frame: pd.DataFrame, format_: str, output: Path | None) -> None:
    """Write a frame in one of ``FORMATS``; raises ``click.ClickException`` when the file cannot be written."""
    if format_ == "parquet":
        _write_parquet(frame, output)
        return
    text = {"table": _table, "csv": _csv, "json": _json}[format_](frame)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from error


def _table(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "  ".join(str(column) for column in frame.columns) + "\n(no rows)"
    return as_table([{key: _cell(value) for key, value in row.items()} for row in _rows(frame)])


def _csv(frame: pd.DataFrame) -> str:
    rows = [{key: _plain_text(value) for key, value in row.items()} for row in _rows(frame)]
    import pandas as pd

    text: str = pd.DataFrame(rows, columns=frame.columns).to_csv(index=False)
    return text.removesuffix("\n")


def _json(frame: pd.DataFrame) -> str:
    rows = [{key: _json_value(value) for key, value in row.items()} for row in _rows(frame)]
    return json.dumps(rows, ensure_ascii=False, indent=2)


def _write_parquet(frame: pd.DataFrame, output: Path | None) -> None:
    if output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is binary: name a file with --output, or pipe it")
    # Maps become JSON text: Parquet's own maps are read by few tools.
    plain = frame.map(lambda value: _plain_text(value) if isinstance(value, dict) else value)
    try:
        plain.to_parquet(output if output is not None else sys.stdout.buffer, index=False)
    except OSError as error:
        raise click.ClickException(f"cannot write {output or 'the output'}: {error.strerror}") from error


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _cell(value: Any) -> Any:
    """A value as a person reads it in a table."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, float):
        return "" if math.isnan(value) else float(f"{value:.6g}")
    return _plain_text(value) if not isinstance(value, int) else value


def _plain_text(value: Any) -> Any:
    if _is_missing(value):
        return ""
    if isinstance(value, datetime):
        # All times of the warehouse are UTC.
        text = value.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
        return text.removesuffix(".000")
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict | list | tuple):
        return json.dumps(_json_value(value), ensure_ascii=False)
    return value


def _json_value(value: Any) -> Any:
    if _is_missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, dict):
        return {str(key): _json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else str(_plain_text(value))


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NaT
