"""``mcenter dead-letters``: list records that could not be handled, and send them again or drop them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING, Any

import click

from parallelm.connections import load_settings
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.cells import table_cell
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.record_lines import as_text
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo, echo_lines, visible
from parallelm.mcenter.time_option import TIME
from parallelm.operations.acting.dead_letters import dead_letter_actions
from parallelm.operations.dead_letters import Selection, find_dead_letter, list_dead_letters
from parallelm.operations.errors import UnknownTopicError
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHORT = [
    "letter_id",
    "failed_at",
    "state",
    "source_topic",
    "source_partition",
    "source_offset",
    "stage",
    "error",
]


def _selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--to", "end", type=TIME, help="Only those that failed before this time."),
        click.option("--from", "start", type=TIME, help="Only those that failed at this time or later."),
        click.option("--stage", help="Only those that failed here: decode, validate, insert, series, mlapp."),
        click.option("--topic", help="Only those that came from this topic, with or without prefix."),
        click.option("--id", "letter_id", help="Only those whose id begins so."),
    ):
        command = option(command)
    return command


_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_AT_MOST = click.option(
    "--limit", type=click.IntRange(min=1), help="At most so many, the latest.  [default: all]"
)


@click.group(name="dead-letters")
def dead_letters() -> None:
    """List records that could not be handled, and send them again or drop them."""


@dead_letters.command(name="list")
@_selection_options
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many, the latest."
)
@click.option("--all", "all_", is_flag=True, help="Also those that were sent again or dropped.")
@result_options
def list_(*, format_: str, output: Path | None, all_: bool, **selected: Any) -> None:
    """List dead letters, the latest first."""
    settings = load_settings()
    with reported_in_one_line(settings), _topic_option():
        found = list_dead_letters(settings, Selection(**selected), open_only=not all_)
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)


@dead_letters.command()
@click.argument("letter_id")
def show(letter_id: str) -> None:
    """Show one dead letter with the record itself, decoded where that is possible; LETTER_ID may be cut short."""
    settings = load_settings()
    with reported_in_one_line(settings):
        fields, record = find_dead_letter(settings, letter_id)
    width = max(map(len, fields))
    echo_lines("\n".join(f"{name:<{width}}  {visible(table_cell(value))}" for name, value in fields.items()))
    echo_lines(f"{'record':<{width}}  {as_text(record)}")


@dead_letters.command()
@_selection_options
@_AT_MOST
@WHO
@click.option("--comment", default="", help="Why.")
@_YES
def replay(*, who: str | None, comment: str, yes: bool, **selected: Any) -> None:
    """Send dead letters again to the topics they came from, for the consumer that gave up on them; fix the cause first.

    They are recorded as replayed, and no second replay sends them. A record that still cannot be handled becomes a new
    dead letter.
    """
    settings = load_settings()
    with reported_in_one_line(settings), _topic_option():
        actions = dead_letter_actions(settings, who)
        found = actions.choose("replay_dead_letter", Selection(**selected))
        for line in found.left_out:
            echo(line, err=True)
        if not found.letter_ids:
            echo("there is nothing to send again")
            return
        if not yes:
            click.confirm(f"send {counted(len(found.letter_ids), 'record')} again?", abort=True)
        sent = actions.give("replay_dead_letter", found.letter_ids, comment=comment)
    echo(f"sent {counted(sent, 'record')} again")


@dead_letters.command()
@_selection_options
@_AT_MOST
@WHO
@click.option("--comment", required=True, help="Why.")
@_YES
def drop(*, who: str | None, comment: str, yes: bool, **selected: Any) -> None:
    """Record that dead letters are given up: they count as open no more. Their bytes stay until retention takes them."""
    settings = load_settings()
    with reported_in_one_line(settings), _topic_option():
        actions = dead_letter_actions(settings, who)
        found = actions.choose("drop_dead_letter", Selection(**selected)).letter_ids
        if not found:
            echo("there is nothing to drop")
            return
        if not yes:
            click.confirm(f"drop {counted(len(found), 'record')}?", abort=True)
        dropped = actions.give("drop_dead_letter", found, comment=comment)
    echo(f"dropped {counted(dropped, 'record')}")


@contextmanager
def _topic_option() -> Iterator[None]:
    try:
        yield
    except UnknownTopicError as error:
        raise click.BadParameter(str(error), param_hint="--topic") from error
