"""``mcenter doctor``: check what this machine and the configured cluster need."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from parallelm.mcenter.cells import as_json as as_json_text
from parallelm.mcenter.doctor import Verdict, cluster_checks, machine_checks, stack_checks
from parallelm.mcenter.number_options import TIMEOUT_S
from parallelm.mcenter.stack_options import data_option
from parallelm.mcenter.terminal import echo, echo_lines, echo_styled
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from pathlib import Path

_COLOURS = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.PROBLEM: "red"}


@click.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--timeout",
    "timeout_s",
    type=TIMEOUT_S,
    default=5.0,
    show_default=True,
    help="Seconds to wait for each part of the cluster.",
)
@click.pass_context
def doctor(ctx: click.Context, folder: Path, timeout_s: float, *, as_json: bool) -> None:
    """Check this machine, the data folder and the configured cluster, and say what to do; exit code 1 on a problem."""
    found = []
    for check in (
        check
        for part in (machine_checks(), stack_checks(folder), cluster_checks(timeout_s))
        for check in part
    ):
        found.append(check)
        if not as_json:
            echo_styled(f"{check.verdict:<8}", f"{check.name:<13}{check.finding}", fg=_COLOURS[check.verdict])
            if check.remedy:
                echo(f"{'':21}-> {check.remedy}")
    problems = sum(check.verdict is Verdict.PROBLEM for check in found)
    if as_json:
        echo_lines(
            as_json_text(
                {"problems": problems, "checks": [dataclasses.asdict(check) for check in found]}, indent=2
            )
        )
    else:
        echo_styled(counted(problems, "problem") if problems else "all is well", bold=True)
    ctx.exit(1 if problems else 0)
