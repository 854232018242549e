"""``mcenter mlapps launch | stop | pause | resume | run | archive | delete``: what of an MLApp runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import run_options
from parallelm.mcenter.terminal import echo
from parallelm.schemas.well_known import ARCHIVE, DELETE, LAUNCH, PAUSE, RESUME, RUN_NODE, STOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.operations.acting.runs import RunActions, RunAnswer

_MLAPP = click.argument("mlapp_id")
_NODE = click.option("--node", "node_id", default="", help="Only this node.  [default: the whole MLApp]")


@click.command()
@_MLAPP
@run_options
def launch(mlapp_id: str, **options: Any) -> None:
    """Let agents run MLAPP_ID: schedules and triggers count from now on, online nodes are kept running.

    Offline nodes that nothing else makes due run once.
    """
    decide(LAUNCH, mlapp_id, **options)


@click.command()
@_MLAPP
@run_options
def stop(mlapp_id: str, **options: Any) -> None:
    """Stop every run of MLAPP_ID; nothing of it is due any more until it is launched."""
    decide(STOP, mlapp_id, **options)


@click.command()
@_MLAPP
@_NODE
@run_options
def pause(mlapp_id: str, **options: Any) -> None:
    """Begin no more runs of MLAPP_ID; what runs goes on."""
    decide(PAUSE, mlapp_id, **options)


@click.command()
@_MLAPP
@_NODE
@run_options
def resume(mlapp_id: str, **options: Any) -> None:
    """End a pause; of the times that passed meanwhile run those that the schedules say."""
    decide(RESUME, mlapp_id, **options)


@click.command()
@_MLAPP
@click.argument("node_id", metavar="NODE")
@run_options
def run(mlapp_id: str, **options: Any) -> None:
    """Run the offline node NODE of MLAPP_ID now, whether it is launched or not."""
    decide(RUN_NODE, mlapp_id, **options)


@click.command()
@_MLAPP
@run_options
def archive(mlapp_id: str, **options: Any) -> None:
    """Put MLAPP_ID away once it is stopped; launching it takes it out again."""
    decide(ARCHIVE, mlapp_id, **options)


@click.command()
@_MLAPP
@click.option("--yes", is_flag=True, help="Do not ask.")
@run_options
def delete(mlapp_id: str, *, yes: bool, **options: Any) -> None:
    """Remove the definition of MLAPP_ID once it is stopped; what it reported stays in the warehouse."""
    if not yes:
        click.confirm(f"Remove the definition of MLApp {mlapp_id!r}?", abort=True)
    decide(DELETE, mlapp_id, **options)


def decide(
    action: str, mlapp_id: str, *, who: str | None, node_id: str = "", comment: str, timeout_s: float
) -> None:
    """Carry out an action, and print what followed; ends with 1 when it was refused."""
    found = actions(who).decide(action, mlapp_id, node_id=node_id, comment=comment, timeout_s=timeout_s)
    show_answers(found)


def actions(who: str | None) -> RunActions:
    """By the settings."""
    from parallelm.operations.acting.runs import run_actions

    # Errors are complete messages: the Kafka client need not log on the terminal as well.
    logging.getLogger("parallelm.kafka").addHandler(logging.NullHandler())
    return run_actions(load_settings(), who)


def show_answers(answers: Sequence[RunAnswer]) -> None:
    """Print what followed; ends with 1 when it was refused."""
    for each in answers:
        place = f"{each.node_id or each.mlapp_id}" + (f" run {each.run_id}" if each.run_id else "")
        echo(f"{place}: {each.state}: {each.reason}")
    if all(each.is_refusal for each in answers):
        raise click.exceptions.Exit(1)


COMMANDS = (launch, stop, pause, resume, run, archive, delete)
