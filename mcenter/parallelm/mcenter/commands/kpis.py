"""``mcenter kpis``: upload, list and withdraw business KPIs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.file_options import FILE, file_options, read_file, shown_name, tell_if_not_compared
from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import counted_repeats, echo
from parallelm.mcenter.time_option import TIME
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.operations import kpis
    from parallelm.operations.acting.kpis import SentPoints

_SHOWN_KPIS = 50
_SCALE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that select points."""
    for option in (
        click.option("--to", "end", type=TIME, help="Only points before this time."),
        click.option("--from", "start", type=TIME, help="Only points from this time on: 2026-03-01 (UTC), …"),
        click.option(
            "--label",
            "labels",
            type=KEY_VALUE,
            multiple=True,
            help="Only points with this label; repeatable.",
        ),
        click.option(
            "--without-label",
            "without_labels",
            metavar="KEY",
            multiple=True,
            help="Only points that do not have this label; repeatable.",
        ),
        click.option("--mlapp", "mlapp_id", help="Only KPIs of this MLApp."),
    ):
        command = option(command)
    return command


@click.group()
def kpis_() -> None:
    """Upload, list and withdraw business KPIs."""


@kpis_.command()
@FILE
@click.option(
    "--mlapp",
    "mlapp_id",
    callback=not_empty,
    default="default",
    show_default=True,
    help="MLApp whose KPIs these are.",
)
@click.option("--kpi", default="", help="Name of the KPI, when FILE has no column of names.")
@click.option("--ignore", multiple=True, metavar="COLUMN", help="Column that is not a label; repeatable.")
@file_options
@WHO
def upload(
    file: Path,
    mlapp_id: str,
    who: str | None,
    columns: tuple[tuple[str, str], ...],
    *,
    skip_bad: bool,
    **written: Any,
) -> None:
    """Upload the KPI points in FILE, a CSV or Parquet with the columns kpi, timestamp and value; all others are labels.

    FILE may be - for the standard input.

    A timestamp is ISO 8601 (2013-01-31, 2013-01-31T12:00:00+01:00), a date such as 31.01.2013 or 1/31/2013 18:30,
    or a number in --unit. Without an offset it is in --timezone. Uploading
    a point with another value makes a new revision of it; points that the warehouse has with this value are not sent.

    How FILE writes its columns, numbers and dates is detected where only one reading is possible; where two are, the
    command asks for an option. When a line is bad, nothing is uploaded and every mistake is reported with its line and
    column. At the end it prints the count and time range of each KPI.
    """
    read = read_file(file, skip_bad=skip_bad, columns=dict(columns), **written)
    if not read.found.points:
        raise click.ClickException(f"{shown_name(file)} has no KPI points")
    _print_upload(_upload(mlapp_id, read, who), mlapp_id, read.found)


@kpis_.command(name="list")
@click.argument("name", required=False)
@_selection
@click.option("--known-at", type=TIME, help="As they were known at this time, without later revisions.")
@click.option("--revisions", is_flag=True, help="Every revision and withdrawal, not only the latest.")
@result_options
def list_(
    name: str | None,
    labels: tuple[tuple[str, str], ...],
    known_at: str | None,
    format_: str,
    output: Path | None,
    *,
    revisions: bool,
    **selected: Any,
) -> None:
    """List the KPIs; with NAME, or options that select points, their points by latest revision, without withdrawn ones."""
    from parallelm.warehouse.queries import kpi_revisions, kpi_summaries
    from parallelm.warehouse.queries import kpis as find

    if revisions and known_at is not None:
        raise click.UsageError("--revisions shows what was known when; leave out --known-at")
    settings = load_settings()
    selects_points = (
        name is not None
        or labels
        or known_at
        or any(selected[each] for each in ("without_labels", "start", "end"))
    )
    with reported_in_one_line(settings):
        if revisions:
            found = kpi_revisions(settings, name, labels=dict(labels), **selected)
        elif selects_points:
            found = find(settings, name, labels=dict(labels), known_at=known_at, **selected)
        else:
            found = kpi_summaries(settings, selected["mlapp_id"])
    write_result(found, format_, output)


@kpis_.command()
@click.argument("name", callback=not_empty)
@_selection
@WHO
@click.option("--comment", required=True, callback=not_empty, help="Why.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def withdraw(
    name: str,
    labels: tuple[tuple[str, str], ...],
    who: str | None,
    comment: str,
    *,
    yes: bool,
    **selected: Any,
) -> None:
    """Withdraw the points of KPI NAME that are selected: they were wrong and hold no more.

    A withdrawal is a revision: `kpis list` and all queries leave the point out from then on, alert rules on the KPI judge again
    without it, and `kpis list --known-at` still shows it for earlier times. Uploading the point again brings it back.
    """
    from parallelm.operations.acting.kpis import kpi_actions
    from parallelm.schemas.errors import UndeliveredError

    settings = load_settings()
    actions = kpi_actions(settings, who)
    with reported_in_one_line(settings):
        found = actions.select(name=name, labels=dict(labels), **selected)
    if not found.count:
        raise click.ClickException(
            f"KPI {name!r} has no such points; `mcenter kpis list` shows those that there are"
        )
    write_result(
        found.first.head(_SHOWN_KPIS)[["event_time", "labels", "value", "mlapp_id", "source"]], "table", None
    )
    if not yes:
        click.confirm(f"withdraw {counted(found.count, 'point')} of {name!r}?", abort=True)
    try:
        count = actions.withdraw(found, comment=comment)
    except UndeliveredError as error:
        raise click.ClickException(
            f"{error}; withdraw them again: points that are withdrawn stay so"
        ) from error
    echo(f"withdrew {counted(count, 'point')} of {name!r}")


def _upload(mlapp_id: str, read: kpis.PointsFile, who: str | None) -> SentPoints:
    from parallelm.operations.acting.kpis import kpi_actions
    from parallelm.schemas.errors import UndeliveredError

    settings = load_settings()
    with click.progressbar(
        length=_SCALE, label="uploading", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        try:
            sent = kpi_actions(settings, who).upload(
                mlapp_id, read, lambda share: bar.update(int(share * _SCALE) - bar.pos)
            )
        except UndeliveredError as error:
            raise click.ClickException(
                f"{error}; upload the file again: points that arrived get a revision"
            ) from error
    tell_if_not_compared(settings, sent.not_compared, "points")
    return sent


def _print_upload(sent: SentPoints, mlapp_id: str, found: kpis.KpiFile) -> None:
    uploaded = sent.kpis
    points = sum(each.points for each in uploaded)
    said = f"uploaded {counted(points, 'point')} of {counted(len(uploaded), 'KPI')} to MLApp {mlapp_id}"
    if found.bad_lines:
        said += f"; {counted(found.bad_lines, 'bad line')} left out"
    if found.repeated:
        said += f"; {counted_repeats(found.repeated, 'a point')}"
    if sent.revised:
        said += f"; {sent.revised} of them {'revises' if sent.revised == 1 else 'revise'} a known point"
    if sent.unchanged:
        said += f"; {counted(sent.unchanged, 'point')} known with this value and not sent"
    echo(said)
    for note in sent.notes:
        echo(f"note: {note}", err=True)
    for each in uploaded[:_SHOWN_KPIS]:
        echo(
            f"  {each.name}: {counted(each.points, 'point')} from {_utc(each.first_ms)} to {_utc(each.last_ms)} UTC"
        )
    if len(uploaded) > _SHOWN_KPIS:
        echo(f"  and {counted(len(uploaded) - _SHOWN_KPIS, 'more KPI')}")


def _utc(timestamp_ms: int) -> str:
    moment = (_EPOCH + timedelta(milliseconds=timestamp_ms)).replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="milliseconds").removesuffix(".000")
