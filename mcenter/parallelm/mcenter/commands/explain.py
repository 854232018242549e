"""``mcenter explain``: say why an alert was raised, a model deployed, or a run was due, down to the records and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.cells import as_json
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.terminal import echo, write_text
from parallelm.operations.explaining import Part
from parallelm.operations.explaining import explain as explain_decision

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("decision", metavar="ALERT|DEPLOYMENT|RUN")
@click.option("--json", "is_json", is_flag=True, help="As JSON, with every number.")
def explain(decision: str, *, is_json: bool) -> None:
    """Explain an alert, a deployment or a run: from the decision back to what was reported, by topic, partition and offset.

    An id may be cut short. A model stands for its last deployment.
    """
    settings = load_settings()
    with reported_in_one_line(settings):
        found = explain_decision(settings, decision)
    if is_json:
        write_text(as_json(found, indent=2))
    else:
        echo(found.text)
        _print(found.parts, "")


def _print(parts: Sequence[Part], before: str) -> None:
    for number, part in enumerate(parts, 1):
        last = number == len(parts)
        echo(f"{before}{'└─ ' if last else '├─ '}{part.text}")
        _print(part.parts, before + ("   " if last else "│  "))
