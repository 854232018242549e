"""Options of commands by which a person answers: who, why, and how long to wait for what follows."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from parallelm.mcenter.not_empty import not_empty
from parallelm.operations.actions import ANSWER_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--who``, ``--comment`` and ``--timeout``."""
    for option in (
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=0.1, max=3600),
            default=ANSWER_TIMEOUT_S,
            show_default=True,
            help="Seconds to wait for the processors.",
        ),
        click.option("--comment", required=True, callback=not_empty, help="Why."),
        click.option(
            "--who",
            default=getpass.getuser,
            callback=not_empty,
            help="Who decides.  [default: the user of this shell]",
        ),
    ):
        command = option(command)
    return command
