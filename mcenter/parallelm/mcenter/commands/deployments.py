"""``mcenter deployments``: list deployments, with the reason of each decision."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result

_SHORT = [
    "mlapp_id",
    "node_id",
    "model_name",
    "model_id",
    "state",
    "live_from",
    "live_to",
    "decided_reason",
    "ended_reason",
]


@click.group()
def deployments() -> None:
    """List deployments."""


@deployments.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only deployments of this MLApp.")
@click.option("--node", "node_id", help="Only deployments to this node.")
@click.option("--state", help="Only deployments that are in this state now: active, superseded, failed, …")
@result_options
def list_(
    mlapp_id: str | None, node_id: str | None, state: str | None, format_: str, output: Path | None
) -> None:
    """List deployments by the time they were decided, with the reason of each; also decisions not to deploy."""
    from parallelm.warehouse.queries import deployments as find

    settings = load_settings()
    with reported_in_one_line(settings):
        found = find(settings, mlapp_id=mlapp_id, node_id=node_id, state=state)
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)
