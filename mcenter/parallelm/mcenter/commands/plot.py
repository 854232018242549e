"""``mcenter plot``: draw a KPI with statistics, live models and alerts on one time axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.kpi_options import kpi_options
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME

FORMATS = (".png", ".svg", ".pdf")


@click.command()
@click.argument("kpi")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the picture to this file: .png, .svg or .pdf.",
)
@kpi_options
@click.option(
    "--statistic",
    "statistics",
    multiple=True,
    help="Show the series of this name; repeatable.  [default: those that go with the KPI most surely]",
)
@click.option("--node", "node_id", help="Only models and alerts of this node.")
@click.option(
    "--from",
    "start",
    type=TIME,
    help="Only KPI points from this time on: 2026-03-01 (UTC), or with hours and zone.",
)
@click.option("--to", "end", type=TIME, help="Only KPI points before this time.")
def plot(
    kpi: str, output: Path, labels: tuple[tuple[str, str], ...], statistics: tuple[str, ...], **options: Any
) -> None:
    """Draw KPI, statistics, live models as bands and alerts as marks on one time axis."""
    if output.suffix.lower() not in FORMATS:
        raise click.UsageError(f"the file {str(output)!r} must end with one of {', '.join(FORMATS)}")
    try:
        from parallelm.operations.plots import draw_timeline
    except ImportError as error:
        raise click.ClickException(
            f"pictures need matplotlib ({error}): pip install 'mcenter-stream[plots]'"
        ) from error
    from parallelm.warehouse.queries import timeline

    settings = load_settings()
    with reported_in_one_line(settings):
        found = timeline(settings, kpi, labels=dict(labels), statistics=statistics or None, **options)
    for note in found.notes:
        echo(f"note: {note}", err=True)
    try:
        draw_timeline(found).savefig(output)
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror}") from error
    echo(f"wrote {output}", err=True)
