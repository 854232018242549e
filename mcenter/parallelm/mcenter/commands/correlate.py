"""``mcenter correlate``: find the statistics that move with a KPI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.kpi_options import kpi_options
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME

if TYPE_CHECKING:
    from parallelm.warehouse.queries import Correlations

_SHOWN = ("node_id", "statistic", "labels", "lag", "r", "n", "n_effective", "p_adjusted", "verdict")


@click.command()
@click.argument("kpi")
@kpi_options
@click.option(
    "--max-lag",
    default=7,
    show_default=True,
    help="Let statistics come up to so many buckets before the KPI.",
)
@click.option("--statistic", "statistics", multiple=True, help="Only statistics of this name; repeatable.")
@click.option(
    "--sum", "sums", metavar="STATISTIC", multiple=True, help="Sum this statistic over a bucket; repeatable."
)
@click.option(
    "--mean", "means", metavar="STATISTIC", multiple=True, help="Average this statistic; repeatable."
)
@click.option(
    "--holiday", "holidays", metavar="DATE", multiple=True, help="A day apart: 2026-12-25; repeatable."
)
@click.option(
    "--holidays",
    "holiday_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of holidays, a date a line.",
)
@click.option(
    "--keep",
    type=click.Choice(["season", "trend"]),
    multiple=True,
    help="Compare with the season or the trend left in; repeatable.",
)
@click.option(
    "--correction",
    type=click.Choice(["holm", "fdr_bh"]),
    default="holm",
    show_default=True,
    help="For the number of tests.",
)
@click.option(
    "--from",
    "start",
    type=TIME,
    help="Only KPI points from this time on: 2026-03-01 (UTC), or with hours and zone.",
)
@click.option("--to", "end", type=TIME, help="Only KPI points before this time.")
@click.option("--all-lags", is_flag=True, help="Show every lag, not only the best of a series.")
@click.option("--top", default=20, show_default=True, help="Show so many rows; 0: all.")
@result_options
def correlate(
    kpi: str,
    labels: tuple[tuple[str, str], ...],
    sums: tuple[str, ...],
    means: tuple[str, ...],
    holidays: tuple[str, ...],
    holiday_file: Path | None,
    top: int,
    format_: str,
    output: Path | None,
    **options: Any,
) -> None:
    """Find the statistics that move with KPI, the surest first.

    Season (hour of day, day of week, holidays) and trend are removed from the KPI and from every statistic before they are
    compared, at each lag by which a statistic comes first. p_adjusted is the chance of such an agreement between series that
    have nothing to do with each other, given their autocorrelation and the number of tests. Where a KPI is too short for an
    answer, the verdict says so.
    """
    from parallelm.warehouse.queries import correlate as find

    settings = load_settings()
    aggregations: dict[str, Literal["sum", "mean"]] = dict.fromkeys(sums, "sum")
    aggregations |= dict.fromkeys(means, "mean")
    days = [*holidays, *(_lines(holiday_file) if holiday_file else ())]
    with reported_in_one_line(settings):
        found = find(settings, kpi, labels=dict(labels), aggregations=aggregations, holidays=days, **options)
    _explain(found, top)
    table = found.table.head(top) if top else found.table
    write_result(table[list(_SHOWN)] if format_ == "table" else table, format_, output)


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _explain(found: Correlations, top: int) -> None:
    """What was done and found, in words; beside the result, which may go into a file."""
    if found.removed:
        echo(f"removed from all series: {'; '.join(found.removed)}", err=True)
    for note in found.notes:
        echo(f"note: {note}", err=True)
    table = found.table.head(top) if top else found.table
    words = [each for each in table["in_words"] if each]
    for each in words:
        echo(f"{each}", err=True)
    if found.tests and not (found.table["in_words"] != "").any():
        echo(f"no statistic goes with the KPI: nothing stands out among {found.tests} tests", err=True)
