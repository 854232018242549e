"""``mcenter alerts list``: list alerts."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result

_SHORT = [
    "mlapp_id",
    "rule",
    "severity",
    "state",
    "node_id",
    "labels",
    "fired_at",
    "resolved_at",
    "settled_by_model_id",
    "fired_reason",
    "resolved_reason",
]


@click.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only alerts of this MLApp.")
@click.option("--rule", help="Only alerts of this rule.")
@click.option("--open", "only_open", is_flag=True, help="Only alerts that have not resolved.")
@click.option("--all", "also_unfired", is_flag=True, help="Also those that resolved before they fired.")
@result_options
def list_(
    mlapp_id: str | None,
    rule: str | None,
    format_: str,
    output: Path | None,
    *,
    only_open: bool,
    also_unfired: bool,
) -> None:
    """List alerts by the time their condition was met: one row an episode, with the reason it fired and resolved.

    settled_by_model_id is the model that went live between firing and resolving; empty when none did.
    """
    from parallelm.warehouse.queries import alerts as find

    settings = load_settings()
    with reported_in_one_line(settings):
        found = find(settings, mlapp_id=mlapp_id, rule=rule, fired_only=not also_unfired)
    if only_open:
        found = found[found["resolved_at"].isna()]
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)
