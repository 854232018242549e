"""The MLApp file that a command is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.mcenter.key_values import KEY_VALUE
from parallelm.operations import definitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.records import MLAppDefinition

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))


SET = click.option(
    "--set",
    "values",
    type=KEY_VALUE,
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of a parameter of FILE; may be given several times.",
)


def read_definition(file: Path, values: Sequence[tuple[str, str]] = ()) -> MLAppDefinition:
    """Record of a valid file, without its version; a file that is not valid ends the command with 1."""
    if str(file) == "-":
        return definitions.validate_definition(sys.stdin.buffer.read(), "<stdin>", values=dict(values))
    return definitions.validate_definition(
        file.read_bytes(), str(file), components=components_of(file), values=dict(values)
    )


def components_of(file: Path) -> Path | None:
    """The folder of components beside a file; None for what came through a pipe."""
    return None if str(file) == "-" else file.absolute().parent / "components"
