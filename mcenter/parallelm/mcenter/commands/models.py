"""``mcenter models``: list models."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result

_SHORT = ["event_time", "model_id", "name", "format", "mlapp_id", "node_id", "size_bytes", "live_on"]


@click.group()
def models() -> None:
    """List models."""


@models.command(name="list")
@click.option("--mlapp", "mlapp_id", help="Only models of this MLApp.")
@result_options
def list_(mlapp_id: str | None, format_: str, output: Path | None) -> None:
    """List models by the time they were announced, with the nodes on which each is live now."""
    from parallelm.warehouse.queries import models as find

    settings = load_settings()
    with reported_in_one_line(settings):
        found = find(settings, mlapp_id=mlapp_id)
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)
