"""``mcenter components``: check the folder of a component, and show what it is called with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.mcenter.terminal import echo
from parallelm.operations.components import check_component
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from parallelm.definitions.components.form import ArgumentForm

FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.group()
def components() -> None:
    """Check components: folders with a program and component.yaml, which steps of MLApps name."""


@components.command()
@FOLDER
def check(folder: Path) -> None:
    """Check FOLDER; ends with 1 and every mistake's line and column when it is not a valid component."""
    found = check_component(folder)
    echo(
        f"{folder}: component {found.form.name!r} is valid: {counted(len(found.form.arguments), 'argument')}, "
        f"{counted(len(found.files), 'file')}"
    )


@components.command()
@FOLDER
def show(folder: Path) -> None:
    """Print the arguments, inputs, outputs and files of the component in FOLDER."""
    found = check_component(folder)
    form = found.form
    echo(f"{form.name}: {form.description or form.label or form.program}")
    for key, argument in form.arguments.items():
        echo(
            f"  --{key}  {argument.type}{_source(argument)}  {argument.description or argument.label}".rstrip()
        )
    for kind, ports in (("input", form.inputs), ("output", form.outputs)):
        for name, port in ports.items():
            echo(f"  {kind} {name}  {port.type}  {port.description}".rstrip())
    for file in found.files:
        echo(f"  file {file}")


def _source(argument: ArgumentForm) -> str:
    parts = [f"${argument.variable}"] if argument.variable else []
    parts += [f"{kind} {value}" for kind in ("tag", "input", "output") if (value := getattr(argument, kind))]
    if argument.default is not None:
        parts.append(f"default {argument.default}")
    if argument.optional:
        parts.append("optional")
    return f" ({', '.join(parts)})" if parts else ""
