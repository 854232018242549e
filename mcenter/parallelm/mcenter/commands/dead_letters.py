"""``mcenter dead-letters``: list records that could not be handled, and send them again."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.mcenter.clickhouse_errors import reported_in_one_line
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo

_SHORT = ["failed_at", "source_topic", "source_partition", "source_offset", "stage", "error"]


@click.group(name="dead-letters")
def dead_letters() -> None:
    """List records that could not be handled, and send them again."""


@dead_letters.command(name="list")
@click.option("--topic", help="Only those that came from this topic, with or without prefix.")
@click.option("--stage", help="Only those that failed here: decode, validate, rules, policy, …")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The latest so many."
)
@result_options
def list_(topic: str | None, stage: str | None, limit: int, format_: str, output: Path | None) -> None:
    """List dead letters, the latest first."""
    from parallelm.warehouse.queries import dead_letters as find

    settings = load_settings()
    with reported_in_one_line(settings):
        found = find(
            settings, source_topic=_full_name(topic, settings.kafka.topic_prefix), stage=stage, limit=limit
        )
    write_result(found[_SHORT] if format_ == "table" else found, format_, output)


@dead_letters.command()
@click.option("--topic", help="Only those that came from this topic, with or without prefix.")
@click.option("--stage", help="Only those that failed here.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay(topic: str | None, stage: str | None, *, yes: bool) -> None:
    """Send dead letters to the topic that they came from again, as they were: after their cause is mended.

    They stay listed. A record that still cannot be handled becomes a new dead letter.
    """
    from parallelm.operations.dead_letter_replay import replay as send_again
    from parallelm.warehouse.queries import dead_letter_records as find

    settings = load_settings()
    with reported_in_one_line(settings):
        letters = find(settings, source_topic=_full_name(topic, settings.kafka.topic_prefix), stage=stage)
    whole = [letter for letter in letters if not letter.is_cut]
    if len(whole) < len(letters):
        echo(
            f"{len(letters) - len(whole)} of them are left out: they were too large to be stored whole",
            err=True,
        )
    if not whole:
        echo("there is nothing to send again")
        return
    if not yes:
        click.confirm(f"send {len(whole)} records again?", abort=True)
    send_again(settings, whole)
    echo(f"sent {len(whole)} records again")


def _full_name(topic: str | None, prefix: str) -> str | None:
    if topic is None:
        return None
    from parallelm.schemas.topics import by_name

    try:
        return by_name(topic, prefix).full_name(prefix)
    except KeyError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--topic") from error
