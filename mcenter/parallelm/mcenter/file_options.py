"""Options of commands that upload a file: how it is written, and what becomes of bad lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.terminal import echo
from parallelm.operations import kpis
from parallelm.operations.errors import KpiFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings

_SHOWN_MISTAKES = 20

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
"""The file, or - for the standard input."""
_OPTIONS = (
    click.option(
        "--column",
        "columns",
        type=KEY_VALUE,
        multiple=True,
        help="Name of a column in FILE: timestamp=Datum; repeatable.",
    ),
    click.option("--delimiter", default="", help="Between columns: , ; | or tab.  [default: detected]"),
    click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign.  [default: detected]"),
    click.option(
        "--thousands",
        type=click.Choice([".", ",", "space", "apostrophe"]),
        help="Sign that groups digits by three.  [default: detected]",
    ),
    click.option(
        "--date-format",
        default="",
        help="Form of the timestamps, as Python's strptime: '%d.%m.%Y %H:%M'.  [default: detected]",
    ),
    click.option(
        "--unit",
        type=click.Choice(kpis.UNITS),
        help="Of timestamps that are numbers: since 1970, or a spreadsheet's days.",
    ),
    click.option(
        "--timezone",
        default="UTC",
        show_default=True,
        help="Of timestamps that name none: Europe/Berlin, …",
    ),
    click.option(
        "--ambiguous",
        type=click.Choice([each.value for each in kpis.AmbiguousTimes]),
        default=kpis.AmbiguousTimes.REFUSE.value,
        show_default=True,
        help="Local times that clocks show twice. by-order: the rows of each series are in order of time.",
    ),
    click.option(
        "--nonexistent",
        type=click.Choice([each.value for each in kpis.NonexistentTimes]),
        default=kpis.NonexistentTimes.REFUSE.value,
        show_default=True,
        help="Local times that clocks skip. forward: 02:30 is read as 03:30; backward: as 01:30.",
    ),
    click.option(
        "--encoding", default="", help="windows-1252, utf-16-le, …  [default: its byte-order mark, or UTF-8]"
    ),
    click.option("--skip-bad", is_flag=True, help="Upload the good lines; report the bad ones."),
    click.option("--allow-future", is_flag=True, help="Accept timestamps more than a day ahead."),
)


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a file: ``skip_bad``, and those that ``read_file`` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def shown_name(file: Path) -> str:
    """As messages name it."""
    return "<stdin>" if str(file) == "-" else str(file)


def read_file(file: Path, *, skip_bad: bool, values_hint: str = "", **said: Any) -> kpis.PointsFile:
    """A file or the standard input, with its points; its mistakes are printed, and a hint on values that cannot be read.

    ``said`` is how it is written: what the options say, and any other fields of the format. Raises
    ``click.ClickException``, also for bad lines that are not to be skipped.
    """
    shown = shown_name(file)
    try:
        wanted = kpis.format_of(**said)
    except KpiFileError as error:
        raise click.UsageError(str(error)) from error
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        found = kpis.read_points_of(data, wanted)
    except (KpiFileError, OSError) as error:
        raise click.ClickException(f"{shown}: {error}") from error
    if values_hint and any(mistake.column == "value" for mistake in found.mistakes):
        echo(values_hint, err=True)
    _refuse_bad_lines(found, shown, skip_bad=skip_bad)
    return kpis.PointsFile(file.name, data, said, skip_bad, found)


def tell_if_not_compared(settings: Settings, error: Exception | None, what: str) -> None:
    """Say that everything was sent because ClickHouse was away; None: it was not."""
    if error is None:
        return
    try:
        with reported_in_one_line(settings):
            raise error
    except click.ClickException as shown:
        echo(f"not compared with the warehouse, so known {what} get a revision: {shown.message}", err=True)


def _refuse_bad_lines(found: kpis.KpiFile, shown: str, *, skip_bad: bool) -> None:
    """Print the mistakes; raises ``click.ClickException`` for bad lines that are not to be skipped."""
    kinds = kpis.alike(found.mistakes)[:_SHOWN_MISTAKES]
    for kind in kinds:
        echo(f"{shown}: {kind}", err=True)
    if more := found.mistake_count - sum(1 + len(kind.other_lines) for kind in kinds):
        echo(f"{shown}: and {more} more", err=True)
    if found.bad_lines and not skip_bad:
        raise click.ClickException(kpis.refusal_of(found, "--skip-bad"))
