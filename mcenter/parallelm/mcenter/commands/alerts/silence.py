"""``mcenter alerts silence``: mute notifications of alerts for a time."""

from __future__ import annotations

import time

import click

from parallelm.connections import load_settings
from parallelm.definitions.durations import format_duration
from parallelm.definitions.matchers import Matcher  # noqa: TC001 - click's callback is called with it
from parallelm.mcenter.silence_options import DurationType, MatcherType, shown_time, who_and_why
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME
from parallelm.operations.acting.silences import silence_actions


@click.command()
@click.argument("matchers", nargs=-1, required=True, type=MatcherType(), metavar="MATCHER...")
@click.option("--for", "for_ms", type=DurationType(), help="So long, such as 2h.")
@click.option("--until", type=TIME, help="Until this time.")
@who_and_why
def silence(
    matchers: tuple[Matcher, ...], for_ms: int | None, until: str | None, who: str | None, comment: str
) -> None:
    """Mute notifications of alerts whose labels meet every MATCHER, for a time.

    A MATCHER is label=value, label!=value, label=~regex or label!~regex; a regular expression is for the whole value.
    Labels are those of the rule and the series, and alertname, mlapp, node, severity. What is silenced is still listed.
    """
    from parallelm.schemas.times import range_ms

    if (for_ms is None) == (until is None):
        raise click.UsageError("give either --for or --until")
    ends_at_ms = (
        range_ms(until, None)[0] if until is not None else time.time_ns() // 1_000_000 + (for_ms or 0)
    )
    settings = load_settings()
    made = silence_actions(settings, who).add(matchers, ends_at_ms=ends_at_ms or 0, comment=comment)
    left = format_duration(round((made.ends_at_ms - made.starts_at_ms) / 1000) * 1000)
    echo(f"silence {made.silence_id} is in force until {shown_time(made.ends_at_ms)} ({left})")
