"""``mcenter impact``: a KPI before and after a deployment, an alert or any moment."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.kpi_options import kpi_options
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME

if TYPE_CHECKING:
    from parallelm.warehouse.queries import Impact


@click.command()
@click.argument("kpi")
@click.option("--deployment", "deployment_id", help="When the model of this deployment went live.")
@click.option("--alert", "alert_id", help="When this alert fired.")
@click.option("--at", type=TIME, help="At this time: 2026-03-01 (UTC), or with hours and zone.")
@kpi_options
@click.option("--before", default=120, show_default=True, help="Buckets before the change.")
@click.option("--after", default=60, show_default=True, help="Buckets from the change on.")
@click.option(
    "--holiday", "holidays", metavar="DATE", multiple=True, help="A day apart: 2026-12-25; repeatable."
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
def impact(kpi: str, labels: tuple[tuple[str, str], ...], format_: str, **options: Any) -> None:
    """Compare KPI before and after a change, with season and trend taken into account.

    Say by one of --deployment, --alert and --at when the change was. The answer has a 95 % interval, and the plain difference
    of the means beside it. It says what changed at that time, not why.
    """
    from parallelm.warehouse.queries import impact as compare

    settings = load_settings()
    with reported_in_one_line(settings):
        found = compare(settings, kpi, labels=dict(labels), **options)
    for line in _json(found) if format_ == "json" else _text(found):
        echo(line)


def _text(found: Impact) -> list[str]:
    lines = [*found.sentences, *(f"note: {note}" for note in found.notes)]
    if found.change is not None:
        change = found.change
        lines.append(
            f"model: {found.model}; {change.before} values before and {change.after} after, removed "
            f"{', '.join(change.removed)}, autocorrelation {change.autocorrelation:.2f}"
        )
    return lines


def _json(found: Impact) -> list[str]:
    return json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=2).splitlines()
