"""``mcenter mlapps history | diff``: versions of definitions, and what another file would change."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.mlapp_file import FILE, SET, components_of, read_definition
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo, write_data

if TYPE_CHECKING:
    import pandas as pd

_SHORT = ["version", "applied_at", "applied_by", "stage", "nodes", "run_by_agents", "rules"]


@click.command()
@click.argument("mlapp_id")
@click.option("--version", type=click.IntRange(min=1), help="Print the file of this version instead.")
@result_options
def history(mlapp_id: str, version: int | None, format_: str, output: Path | None) -> None:
    """List the versions of MLAPP_ID, and who applied them."""
    from parallelm.warehouse.queries import mlapp_versions

    settings = load_settings()
    with reported_in_one_line(settings):
        found = mlapp_versions(settings, mlapp_id, version=version)
    if found.empty:
        what = f"version {version} of MLApp {mlapp_id!r}" if version else f"MLApp {mlapp_id!r}"
        raise click.ClickException(f"the warehouse has no {what}; a new one is there within seconds")
    if version is not None:
        write_data(str(found["source_yaml"].iloc[-1]).rstrip("\n"))
        return
    write_result(_summary(found) if format_ == "table" else found, format_, output)


def _summary(found: pd.DataFrame) -> pd.DataFrame:
    found = found.assign(
        nodes=found["nodes.node_id"].map(len),
        run_by_agents=found["nodes.running_json"].map(lambda each: sum(text != "{}" for text in each)),
        rules=found["rules.name"].map(len),
    )
    return found[_SHORT]


@click.command()
@FILE
@SET
def diff(file: Path, values: tuple[tuple[str, str], ...]) -> None:
    """Print what applying FILE would change: lines of its text, and components whose files differ.

    Ends with 1 when applying it makes a new version.
    """
    from parallelm.operations.acting.definitions import definition_actions

    definition = read_definition(file, values)
    actions = definition_actions(load_settings(), None)
    found = actions.difference(definition, str(file), components_of(file))
    for line in found.lines:
        write_data(line)
    for name in found.components:
        echo(f"component {name!r}: its files differ")
    if found.is_new:
        raise click.exceptions.Exit(1)
    echo(f"MLApp {definition.mlapp_id!r}: applying {file} changes nothing")


COMMANDS = (history, diff)
