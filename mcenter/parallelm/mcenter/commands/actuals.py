"""``mcenter actuals``: upload the outcomes of what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.file_options import FILE, file_options, read_file, shown_name, tell_if_not_compared
from parallelm.mcenter.not_empty import not_empty
from parallelm.mcenter.terminal import counted_repeats, echo
from parallelm.mcenter.time_option import TIME
from parallelm.operations.acting.actuals import OutcomesFile
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parallelm.operations.acting.actuals import SentOutcomes

ID_COLUMN = "id"
_SHOWN_CLASSES = 10
_NAMES_HINT = "values are read as numbers; names of classes need --classes, or --positive CLASS for scores"


@click.group()
def actuals() -> None:
    """Upload the outcomes of what was predicted, and report how good models were."""


@actuals.command()
@FILE
@click.option(
    "--mlapp",
    "mlapp_id",
    callback=not_empty,
    default="default",
    show_default=True,
    help="MLApp that predicted.",
)
@click.option(
    "--outcome",
    callback=not_empty,
    default="outcome",
    show_default=True,
    help="What was predicted: the name given to mlops.predictions.",
)
@click.option("--classes", "has_classes", is_flag=True, help="Values are names of classes, not numbers.")
@click.option(
    "--positive",
    metavar="CLASS",
    help="Values are names of classes: this one is 1, all others are 0, for scores.",
)
@file_options
@WHO
def upload(
    file: Path,
    mlapp_id: str,
    who: str | None,
    outcome: str,
    columns: tuple[tuple[str, str], ...],
    positive: str | None,
    *,
    has_classes: bool,
    skip_bad: bool,
    **written: Any,
) -> None:
    """Upload the outcomes in FILE, a CSV or Parquet with the columns id, timestamp and value; others are ignored.

    FILE may be - for the standard input. Values are numbers, or 0 and 1, unless --classes or --positive says that they are
    names. How files are read, and what happens to bad lines, is as for `mcenter kpis upload`. Of lines with the same id the
    last one counts. Outcomes that the warehouse has with this value and time are not sent; another one is a revision, and
    the newest counts.
    """
    given = dict(columns)
    id_column = given.pop("id", ID_COLUMN)
    names = has_classes or positive is not None
    read = read_file(
        file,
        skip_bad=skip_bad,
        values_hint="" if names else _NAMES_HINT,
        columns=given,
        kpi=outcome,
        values_are_names=names,
        **written,
    )
    if not read.found.points:
        raise click.ClickException(f"{shown_name(file)} has no outcomes")
    _refuse_unknown_class(shown_name(file), read.found.written, positive)
    wanted = OutcomesFile(file=read, outcome=outcome, id_column=id_column, names=names, positive=positive)
    _print_upload(mlapp_id, wanted, _upload(mlapp_id, wanted, who))


def _refuse_unknown_class(shown: str, written: Sequence[str], positive: str | None) -> None:
    if positive is not None and positive not in written:
        others = ", ".join(sorted(set(written))[:_SHOWN_CLASSES])
        raise click.BadParameter(
            f"{shown} has no value {positive!r} among its {len(written)} outcomes; there are: {others}",
            param_hint="--positive",
        )


def _upload(mlapp_id: str, wanted: OutcomesFile, who: str | None) -> SentOutcomes:
    from parallelm.operations.acting.actuals import actual_actions
    from parallelm.schemas.errors import UndeliveredError

    settings = load_settings()
    try:
        sent = actual_actions(settings, who).upload(mlapp_id, wanted)
    except UndeliveredError as error:
        raise click.ClickException(
            f"{error}; upload the file again: outcomes that arrived get a revision"
        ) from error
    tell_if_not_compared(settings, sent.not_compared, "outcomes")
    return sent


def _print_upload(mlapp_id: str, wanted: OutcomesFile, sent: SentOutcomes) -> None:
    said = f"uploaded {counted(sent.sent, 'outcome')} of {wanted.outcome!r} to MLApp {mlapp_id}"
    found = wanted.file.found
    if found.bad_lines:
        said += f"; {counted(found.bad_lines, 'bad line')} left out"
    if repeated := len(found.points) - sent.outcomes:
        said += f"; {counted_repeats(repeated, 'an id')}"
    if sent.revised:
        said += f"; {sent.revised} of them {'revises' if sent.revised == 1 else 'revise'} a known outcome"
    if sent.unchanged:
        said += f"; {counted(sent.unchanged, 'outcome')} known so and not sent"
    if sent.unpredicted:
        said += f"; of {counted(sent.unpredicted, 'id')} there is no prediction yet"
    echo(said)


@actuals.command()
@click.option("--mlapp", "mlapp_id", help="Only predictions of this MLApp.")
@click.option("--outcome", help="Only predictions of this outcome.")
@click.option(
    "--from",
    "start",
    type=TIME,
    help="Only from the day on in which this time lies, and that as a whole: 2026-03-01 (UTC), …",
)
@click.option(
    "--segment", "segments", metavar="FEATURE", multiple=True, help="Also by the values of this feature."
)
@click.option(
    "--by",
    type=click.Choice(["hour", "day", "week", "month"]),
    default="day",
    show_default=True,
    help="Time of the predictions that one sample is about; other than days get the label 'by'.",
)
@click.option(
    "--measure",
    "measures",
    metavar="MEASURE",
    multiple=True,
    help="Only accuracy, auc, log_loss, …; repeatable.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Whose clock cuts days: Europe/Berlin, …")
@click.option("--threshold", default=0.5, show_default=True, help="A score from here on decides for 1.")
@click.option(
    "--cost",
    "costs",
    type=(str, float),
    multiple=True,
    metavar="DECISION:ACTUAL AMOUNT",
    help="What such a prediction costs, as for `mcenter models quality`; repeatable.",
)
@click.option(
    "--min-known",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Judge no day with fewer outcomes.",
)
@click.option(
    "--min-known-share",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Judge no day of which a smaller share is known.",
)
def evaluate(
    by: Any,
    measures: tuple[str, ...],
    segments: tuple[str, ...],
    timezone: str,
    costs: tuple[tuple[str, float], ...],
    min_known: int,
    min_known_share: float,
    **selected: Any,
) -> None:
    """Report how good models were as statistics, so that rules and canaries can ask for it; run it every hour.

    quality.accuracy, quality.auc, quality.rmse, … have a sample a day of predictions, at its start, with the model's id.
    Only days that are new, or that outcomes have changed since the last run, are reported.
    """
    from parallelm.operations.quality import Enough, report_quality
    from parallelm.warehouse.queries.model_quality import Judged

    settings = load_settings()
    with reported_in_one_line(settings):
        count = report_quality(
            settings,
            Judged(costs=dict(costs), **selected),
            enough=Enough(known=min_known, known_share=min_known_share),
            by=by,
            measures=measures,
            segments=segments,
            timezone=timezone,
        )
    echo(f"reported {counted(count, 'sample')} of quality, new or changed")
