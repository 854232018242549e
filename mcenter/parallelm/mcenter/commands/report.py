"""``mcenter report``: a week, a month or a quarter in numbers."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.cells import as_json, table_cell
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.tables import as_table
from parallelm.mcenter.terminal import echo, echo_lines
from parallelm.operations.business_report import PERIODS, MLAppNumbers, business_report, calendar_of

if TYPE_CHECKING:
    from datetime import datetime

    from parallelm.operations.business_report import BusinessReport, KpiChange, Period

_SEVERITIES = ("critical", "warning", "info")


@click.command()
@click.option(
    "--period", type=click.Choice(PERIODS), default="month", show_default=True, help="How long it is."
)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="A day of the period.  [default: today]")
@click.option("--timezone", default="UTC", show_default=True, help="Whose calendar: Europe/Berlin, …")
@click.option("--json", "json_", is_flag=True, help="As a JSON object.")
def report(period: Period, day: datetime | None, timezone: str, *, json_: bool) -> None:
    """Print what happened in a week, a month or a quarter, each number with that of the period before.

    Models trained, deployed and rolled back, predictions and alerts by MLApp, and the mean of each KPI. Times are event
    times. Page Report of the server shows the same, and prints on paper.
    """
    settings = load_settings()
    zone = calendar_of(timezone)
    with reported_in_one_line(settings):
        found = business_report(settings, period, day.date() if day else None, zone=zone)
    if json_:
        echo_lines(as_json(_shown(found), indent=2))
    else:
        _print(found)


def _shown(found: BusinessReport) -> dict[str, Any]:
    return {
        "period": found.period,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "total": _numbers(found.total),
        "total_before": _numbers(found.total_before),
        "mlapps": [
            {"mlapp_id": mlapp_id, "is_new": each.new}
            | _numbers(each)
            | {"before": _numbers(found.before.get(mlapp_id, MLAppNumbers()))}
            for mlapp_id, each in sorted(found.now.items())
        ],
        "kpis": [dataclasses.asdict(each) | {"change": each.change} for each in found.kpis],
    }


def _numbers(of: MLAppNumbers) -> dict[str, Any]:
    return {
        "models": of.models,
        "deployed": of.deployed,
        "rolled_back": of.rolled_back,
        "predictions": of.predictions,
        "alerts": dict(of.alerts),
    }


def _print(found: BusinessReport) -> None:
    echo(f"{found.period} from {found.start.date()} to {found.last_day}, before it in brackets")
    if not found.now and not found.kpis:
        echo("nothing happened; of a replay the event times may lie years back: name a --day of then")
        return
    rows = [
        _line(f"{mlapp_id} (new)" if each.new else mlapp_id, each, found.before.get(mlapp_id))
        for mlapp_id, each in sorted(found.now.items())
    ]
    echo()
    echo_lines(as_table([*rows, _line("all", found.total, found.total_before)]))
    if found.kpis:
        echo()
        echo_lines(as_table([_kpi_line(each) for each in found.kpis]))


def _line(name: str, now: MLAppNumbers, before: MLAppNumbers | None) -> dict[str, Any]:
    old = before or MLAppNumbers()
    return {
        "mlapp": name,
        "models": _beside(now.models, old.models),
        "deployed": _beside(now.deployed, old.deployed),
        "rolled_back": _beside(now.rolled_back, old.rolled_back),
        "predictions": _beside(now.predictions, old.predictions),
        **{severity: _beside(now.alerts[severity], old.alerts[severity]) for severity in _SEVERITIES},
    }


def _beside(now: float, before: float) -> str:
    return f"{now:.0f} ({before:.0f})"


def _kpi_line(each: KpiChange) -> dict[str, Any]:
    return {
        "kpi": each.name,
        "mlapp": each.mlapp_id,
        "mean": table_cell(each.mean),
        "points": each.points,
        "mean_before": table_cell(each.mean_before),
        "change": "" if math.isnan(each.change) else f"{each.change:+.1%}",
    }
