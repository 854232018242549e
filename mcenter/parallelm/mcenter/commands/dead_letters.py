"""``mcenter dead-letters``: list records that could not be handled, and send them again."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.operations.dead_letters import list_dead_letters, replayable_dead_letters
from parallelm.operations.dead_letters import replay as send_again
from parallelm.operations.errors import UnknownTopicError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORT = ["failed_at", "source_topic", "source_partition", "source_offset", "stage", "error"]


@click.group(name="dead-letters")
def dead_letters() -> None:
    """List records that could not be handled, and send them again."""


@dead_letters.command(name="list")
@click.option("--topic", help="Only those that came from this topic, with or without prefix.")
@click.option("--stage", help="Only those that failed here: decode, validate, rules, policy, …")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many, the latest."
)
@result_options
def list_(topic: str | None, stage: str | None, limit: int, format_: str, output: Path | None) -> None:
    """List dead letters, the latest first."""
    settings = load_settings()
    with reported_in_one_line(settings), _topic_option():
        found = list_dead_letters(settings, topic=topic, stage=stage, limit=limit)
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)


@dead_letters.command()
@click.option("--topic", help="Only those that came from this topic, with or without prefix.")
@click.option("--stage", help="Only those that failed here.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(topic: str | None, stage: str | None, *, yes: bool) -> None:
    """Send dead letters again, unchanged, to the topics they came from; fix their cause first.

    They stay listed. A record that still cannot be handled becomes a new dead letter.
    """
    settings = load_settings()
    with reported_in_one_line(settings), _topic_option():
        found = replayable_dead_letters(settings, topic=topic, stage=stage)
    if found.cut:
        echo(f"{found.cut} of them are left out: they were too large to be stored in full", err=True)
    if not found.whole:
        echo("there is nothing to send again")
        return
    if not yes:
        click.confirm(f"send {len(found.whole)} records again?", abort=True)
    echo(f"sent {send_again(settings, found.whole)} records again")


@contextmanager
def _topic_option() -> Iterator[None]:
    try:
        yield
    except UnknownTopicError as error:
        raise click.BadParameter(str(error), param_hint="--topic") from error
