"""``mcenter rules validate``: check the rules of a file, and say what each of them does."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.mcenter.mlapp_file import FILE, SET, read_definition
from parallelm.mcenter.terminal import echo
from parallelm.operations.rules_in_words import rules_in_words
from parallelm.operations.words import counted

_WIDTH = 15


@click.command()
@FILE
@SET
def validate(file: Path, values: tuple[tuple[str, str], ...]) -> None:
    """Check FILE without a cluster, and say in words what each of its alert rules does.

    What the file does not say is filled in. Ends with 1 and every mistake's line and column when the file is not valid.
    """
    definition = read_definition(file, values)
    described = rules_in_words(definition)
    echo(f"{file}: MLApp {definition.mlapp_id!r} is valid: {counted(len(described), 'alert rule')}")
    for rule in described:
        echo()
        echo(f"{rule.name} ({rule.type}, {rule.severity})")
        for title, text in rule.lines:
            echo(f"  {title:<{_WIDTH}} {text}")
