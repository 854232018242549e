"""``mcenter mlapps``: apply, list, show and validate MLApp definitions."""

from __future__ import annotations

import logging
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.definitions.hints import hints_of
from parallelm.mcenter import mlapp_original, mlapp_runs, mlapp_versions
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.cells import as_json as as_json_text
from parallelm.mcenter.mlapp_file import FILE, SET, components_of, read_definition
from parallelm.mcenter.results import result_options, write_rows
from parallelm.mcenter.terminal import echo, write_data
from parallelm.operations import definitions
from parallelm.operations.acting.definitions import definition_actions
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.schemas.records import MLAppDefinition


@click.group()
def mlapps() -> None:
    """Apply, list, show and validate MLApp definitions; launch MLApps, and stop them.

    An MLApp is one YAML file: its nodes, its model policy and its alert rules. Topic mlops.mlapps keeps every version.
    """


@mlapps.command()
@FILE
@SET
def validate(file: Path, values: tuple[tuple[str, str], ...]) -> None:
    """Check FILE without a cluster; ends with 1 and every mistake's line and column when it is not valid."""
    definition = read_definition(file, values)
    echo(
        f"{file}: MLApp {definition.mlapp_id!r} is valid: "
        f"{counted(len(definition.nodes), 'node')}, {counted(len(definition.rules), 'alert rule')}"
    )
    for hint in hints_of(definition):
        echo(f"{file}: hint: {hint}")


@mlapps.command()
@FILE
@SET
@WHO
def apply(file: Path, values: tuple[tuple[str, str], ...], who: str | None) -> None:
    """Make FILE the definition of its MLApp. Applying the same again changes nothing.

    A new version is written when anything but comments and layout differs from the current one. Components that steps
    name are found in folder components/ beside FILE, and go into the artifact store.
    """
    definition = read_definition(file, values)
    settings = _settings()
    applied = definition_actions(settings, who).apply(definition, components_of(file))
    state = "now" if applied.is_new else "unchanged"
    echo(f"MLApp {applied.mlapp_id!r} is {state} at version {applied.version}")


@mlapps.command(name="list")
@result_options
def list_mlapps(format_: str, output: Path | None) -> None:
    """List all MLApps with their versions."""
    rows = [
        {
            "mlapp_id": found.mlapp_id,
            "version": found.version,
            "stage": found.stage,
            "model_policy": found.policy.model_policy.value,
            "nodes": len(found.nodes),
            "rules": len(found.rules),
            "applied_by": found.applied_by,
        }
        for found in definitions.list_definitions(_settings())
    ]
    if not rows and format_ == "table" and output is None:
        echo("no MLApp is defined; apply a file with `mcenter mlapps apply FILE`")
        return
    write_rows(rows, format_, output)


@mlapps.command()
@click.argument("mlapp_id")
@click.option(
    "--json", "as_json", is_flag=True, help="The record as JSON instead of the file that was applied."
)
def show(mlapp_id: str, as_json: bool) -> None:
    """Print the current definition of MLAPP_ID as it was applied."""
    found = definitions.get_definition(_settings(), mlapp_id)
    if as_json:
        echo(_json(found))
    else:
        echo(f"# version {found.version}, applied by {found.applied_by}")
        write_data(found.source_yaml.rstrip("\n"))


def _settings() -> Settings:
    # Errors are complete messages: the Kafka client need not log on the terminal as well.
    logging.getLogger("parallelm.kafka").addHandler(logging.NullHandler())
    return load_settings()


def _json(definition: MLAppDefinition) -> str:
    return as_json_text(definition)


for _command in (*mlapp_runs.COMMANDS, *mlapp_versions.COMMANDS, *mlapp_original.COMMANDS):
    mlapps.add_command(_command)
