"""``mcenter mlapp``: apply, list, show and validate MLApp definitions."""

from __future__ import annotations

import dataclasses
import getpass
import logging
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.definitions import (
    DefinitionError,
    DefinitionTopic,
    next_version,
    parse_definition,
    to_record,
)
from parallelm.mcenter.cells import as_json as as_json_text
from parallelm.mcenter.terminal import echo, write_data
from parallelm.schemas.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.schemas.records import MLAppDefinition

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))


@click.group()
def mlapp() -> None:
    """Apply, list, show and validate MLApp definitions.

    An MLApp is one YAML file: its nodes, its model policy and its alert rules. Topic mlops.mlapps keeps every version.
    """


@mlapp.command()
@_FILE
def validate(file: Path) -> None:
    """Check FILE without a cluster; ends with 1 and every mistake's line and column when it is not valid."""
    definition = _definition(file)
    echo(
        f"{file}: MLApp {definition.mlapp_id!r} is valid: "
        f"{len(definition.nodes)} nodes, {len(definition.rules)} alert rules"
    )


@mlapp.command()
@_FILE
@click.option("--as", "applied_by", default=None, help="Who applies it; default: the user of this shell.")
def apply(file: Path, applied_by: str | None) -> None:
    """Make FILE the definition of its MLApp. Applying the same again changes nothing.

    A new version is written when anything but comments and layout differs from the current one.
    """
    wanted = dataclasses.replace(_definition(file), applied_by=applied_by or getpass.getuser())
    with _topic() as topic:
        current = topic.catch_up().get(wanted.mlapp_id)
        new = next_version(current, wanted)
        if new is None:
            version = current.version if current else 0
            echo(f"MLApp {wanted.mlapp_id!r} is unchanged at version {version}")
            return
        topic.apply(new)
    echo(f"MLApp {new.mlapp_id!r} is now at version {new.version}")


@mlapp.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_mlapps(as_json: bool) -> None:
    """List all MLApps with their versions."""
    with _topic() as topic:
        definitions = sorted(topic.catch_up().values(), key=lambda found: found.mlapp_id)
    if not definitions and not as_json:
        echo("no MLApp is defined; apply a file with `mcenter mlapp apply FILE`")
    for found in definitions:
        if as_json:
            echo(_json(found))
        else:
            echo(
                f"{found.mlapp_id}  version {found.version}  {found.policy.model_policy.value}  "
                f"{len(found.nodes)} nodes  {len(found.rules)} rules  applied by {found.applied_by}"
            )


@mlapp.command()
@click.argument("mlapp_id")
@click.option(
    "--json", "as_json", is_flag=True, help="The record as JSON instead of the file that was applied."
)
def show(mlapp_id: str, as_json: bool) -> None:
    """Print the current definition of MLAPP_ID as it was applied."""
    with _topic() as topic:
        definitions = topic.catch_up()
    found = definitions.get(mlapp_id)
    if found is None:
        known = ", ".join(sorted(definitions)) or "none yet"
        raise click.ClickException(f"there is no MLApp {mlapp_id!r}; there are: {known}")
    if as_json:
        echo(_json(found))
    else:
        echo(f"# version {found.version}, applied by {found.applied_by}")
        write_data(found.source_yaml.rstrip("\n"))


def _definition(file: Path) -> MLAppDefinition:
    """Record of a valid file, without its version; a file that is not valid ends the command with 1."""
    shown = "<stdin>" if str(file) == "-" else str(file)
    try:
        text = (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8-sig")
        entry = parse_definition(text, shown)
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{shown} is not UTF-8: {error.reason} at byte {error.start}") from error
    except DefinitionError as error:
        raise click.ClickException(f"{shown} is not a valid MLApp file:\n{error}") from error
    return to_record(entry, text, version=0, applied_by="", event_time_ms=time.time_ns() // 1_000_000)


@contextmanager
def _topic() -> Iterator[DefinitionTopic]:
    """The topic of the configured cluster; its errors end the command with their message."""
    # The message is complete: the Kafka client need not log on the terminal as well.
    logging.getLogger("parallelm.kafka").addHandler(logging.NullHandler())
    try:
        with DefinitionTopic(load_settings()) as topic:
            yield topic
    except SchemaError as error:
        raise click.ClickException(str(error)) from error


def _json(definition: MLAppDefinition) -> str:
    return as_json_text(definition)
