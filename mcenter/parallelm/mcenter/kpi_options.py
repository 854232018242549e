"""Options that say which KPI is meant, and how it is cut into buckets: those of every command that asks about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from parallelm.mcenter.key_values import KEY_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option("--mlapp", "mlapp_id", help="MLApp of the KPI, where several have one of this name."),
    click.option(
        "--label",
        "labels",
        type=KEY_VALUE,
        multiple=True,
        help="Only KPI points with this label; repeatable.",
    ),
    click.option("--kpi-mean", "kpi_aggregation", flag_value="mean", help="Average the KPI's label sets."),
    click.option(
        "--kpi-sum", "kpi_aggregation", flag_value="sum", help="Sum them, and several points of a bucket."
    ),
    click.option("--bucket", default="1D", show_default=True, help="Width of a bucket: 1D, 7D, 6h, 30min, …"),
    click.option("--timezone", help="Whose clock cuts days and hours: Europe/Berlin, …  [default: UTC]"),
)


def kpi_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``mlapp_id``, ``labels``, ``kpi_aggregation``, ``bucket`` and ``timezone``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
