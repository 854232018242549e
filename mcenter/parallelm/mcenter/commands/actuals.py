"""``mcenter actuals``: upload the outcomes of what was predicted."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.commands.kpi import (
    chosen_format,
    format_options,
    not_empty,
    read_file,
    refuse_bad_lines,
    zone,
)
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME
from parallelm.operations import kpis
from parallelm.operations.outcomes import ID_LABEL, upload_actuals


@click.group()
def actuals() -> None:
    """Upload the outcomes of what was predicted, and report how good models were."""


@actuals.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
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
@format_options
@click.option("--skip-bad", is_flag=True, help="Upload the good lines; report the bad ones.")
@click.option("--allow-future", is_flag=True, help="Accept timestamps more than a day ahead.")
def upload(
    file: Path,
    mlapp_id: str,
    outcome: str,
    columns: tuple[tuple[str, str], ...],
    timezone: str,
    *,
    skip_bad: bool,
    allow_future: bool,
    **written: Any,
) -> None:
    """Upload the outcomes in FILE, a CSV or Parquet with the columns id, timestamp and value; others are ignored.

    FILE may be - for the standard input. Values are numbers, or 0 and 1; classes with names are reported by
    mlops.actuals. How files are read, and what happens to bad lines, is as for `mcenter kpi upload`. An outcome that is
    there already gets a revision, and the newest one counts.
    """
    from parallelm.schemas.errors import UndeliveredError

    given = dict(columns)
    id_column = given.pop("id", ID_LABEL)
    wanted = kpis.KpiFileFormat(
        columns=given,
        timezone=zone(timezone),
        latest_ms=kpis.latest_ms(time.time_ns() // 1_000_000, allow_future=allow_future),
        **chosen_format(written | {"kpi": outcome}),
    )
    shown = "<stdin>" if str(file) == "-" else str(file)
    found = read_file(file, shown, wanted)
    refuse_bad_lines(found, shown, skip_bad=skip_bad)
    points = [replace(point, labels={ID_LABEL: point.labels.get(id_column, "")}) for point in found.points]
    if not points:
        raise click.ClickException(f"{shown} has no outcomes")
    try:
        count = upload_actuals(load_settings(), mlapp_id, outcome, file.name, points)
    except UndeliveredError as error:
        raise click.ClickException(
            f"{error}; upload the file again: outcomes that arrived get a revision"
        ) from error
    echo(f"uploaded {count} outcomes of {outcome!r} to MLApp {mlapp_id}")


@actuals.command()
@click.option("--mlapp", "mlapp_id", help="Only predictions of this MLApp.")
@click.option("--outcome", help="Only predictions of this outcome.")
@click.option("--from", "start", type=TIME, help="Only days from this time on: 2026-03-01 (UTC), …")
@click.option(
    "--segment", "segments", metavar="FEATURE", multiple=True, help="Also by the values of this feature."
)
@click.option("--timezone", default="UTC", show_default=True, help="Whose clock cuts days: Europe/Berlin, …")
@click.option("--threshold", default=0.5, show_default=True, help="A score from here on decides for 1.")
@click.option(
    "--cost",
    "costs",
    type=(str, float),
    multiple=True,
    metavar="DECISION:ACTUAL AMOUNT",
    help="What such a prediction costs, as for `mcenter model quality`; repeatable.",
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
            segments=segments,
            timezone=timezone,
        )
    echo(f"reported {count} samples of quality that are new or have changed")
