"""``mcenter status``: show the processes, their health, lag and dead letters."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import click

from parallelm.mcenter.cells import as_json as as_json_text
from parallelm.mcenter.local_stack.status import StackStatus, stack_status
from parallelm.mcenter.stack_options import data_option
from parallelm.mcenter.tables import as_table
from parallelm.mcenter.terminal import echo, echo_lines, echo_styled

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object; sizes in bytes, times in seconds.")
@click.pass_context
def status(ctx: click.Context, folder: Path, *, as_json: bool) -> None:
    """Show each process, consumer lag and dead letters of the local stack; exit code 1 when it is not healthy."""
    found = stack_status(folder)
    if as_json:
        echo_lines(as_json_text({"healthy": found.healthy} | dataclasses.asdict(found), indent=2))
    else:
        _show(found)
    ctx.exit(0 if found.healthy else 1)


def _show(found: StackStatus) -> None:
    if found.processes:
        echo_lines(as_table([
            {
                "process": process.name,
                "state": process.condition,
                "address": process.address,
                "metrics": process.metrics_address,
                "pid": process.pid,
                "uptime": _duration(process.uptime_s),
                "memory": f"{process.memory_bytes / 1e6:.0f} MB" if process.memory_bytes else None,
                "restarts": process.restarts,
            }
            for process in found.processes
        ]))  # fmt: skip
    if found.consumer_groups:
        echo()
        echo_lines(as_table([
            {"consumer group": lag.group, "members": lag.members, "lag": lag.records}
            for lag in found.consumer_groups
        ]))  # fmt: skip
    if found.dead_letters is not None:
        echo()
        echo(f"dead letters: {found.dead_letters}")
    if found.dead_letters:
        echo("see them with `mcenter dead-letters list`")
    echo_styled("healthy" if found.healthy else "not healthy:", bold=True)
    for problem in found.problems:
        echo_lines(f"  {problem}")


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else str(dt.timedelta(seconds=round(seconds)))
