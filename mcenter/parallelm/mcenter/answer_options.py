"""Options of commands by which a person answers: who, why, and how long to wait for what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from parallelm.mcenter.not_empty import not_empty
from parallelm.operations.actions import ANSWER_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable


WHO = click.option(
    "--who",
    callback=not_empty,
    help="Who decides.  [default: the user that the brokers know, else the user of this shell]",
)
"""The option ``--who``: a name or None, for ``author_of_command``."""


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options ``--who``, ``--comment`` and ``--timeout``; a decision has its reason."""
    return _options(command, click.option("--comment", required=True, callback=not_empty, help="Why."))


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, for what is done every day: the comment may be missing."""
    return _options(command, click.option("--comment", default="", help="Why."))


def _options(
    command: Callable[..., Any], comment: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[..., Any]:
    timeout = click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0.1, max=3600),
        default=ANSWER_TIMEOUT_S,
        show_default=True,
        help="Seconds to wait for the processors.",
    )
    for option in (timeout, comment, WHO):
        command = option(command)
    return command
