"""``mcenter alerts silence``, ``unsilence`` and ``silences``: sub-commands of ``mcenter alerts``."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.definitions.durations import format_duration, parse_duration
from parallelm.definitions.matchers import Matcher, parse_matcher
from parallelm.mcenter.results import result_options, write_result
from parallelm.mcenter.terminal import echo
from parallelm.mcenter.time_option import TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.schemas.records import Silence


class MatcherType(click.ParamType):
    """A condition on a label."""

    name = "matcher"

    def convert(
        self, value: str | Matcher, param: click.Parameter | None, ctx: click.Context | None
    ) -> Matcher:
        """The condition that a text says."""
        try:
            return value if isinstance(value, Matcher) else parse_matcher(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType):
    """A time span such as 2h."""

    name = "duration"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds of a text."""
        try:
            return value if isinstance(value, int) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _who(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--comment", required=True, help="Why.")(command)
    return click.option("--who", default=None, help="Who does it.  [default: the user of this shell]")(
        command
    )


@click.command()
@click.argument("matchers", nargs=-1, required=True, type=MatcherType(), metavar="MATCHER...")
@click.option("--for", "for_ms", type=DurationType(), help="So long, such as 2h.")
@click.option("--until", type=TIME, help="Until this time.")
@_who
def silence(
    matchers: tuple[Matcher, ...], for_ms: int | None, until: str | None, who: str | None, comment: str
) -> None:
    """Mute notifications of alerts whose labels meet every MATCHER, for a time.

    A MATCHER is label=value, label!=value, label=~regex or label!~regex; a regular expression is for the whole value.
    Labels are those of the rule and the series, and alertname, mlapp, node, severity. What is silenced is still listed.
    """
    from parallelm.operations.silences import add_silence
    from parallelm.schemas.times import range_ms

    if (for_ms is None) == (until is None):
        raise click.UsageError("give either --for or --until")
    ends_at_ms = (
        range_ms(until, None)[0] if until is not None else time.time_ns() // 1_000_000 + (for_ms or 0)
    )
    made = add_silence(
        load_settings(), matchers, ends_at_ms=ends_at_ms or 0, who=who or getpass.getuser(), comment=comment
    )
    left = format_duration((made.ends_at_ms - made.starts_at_ms) // 1000 * 1000)
    echo(f"silence {made.silence_id} is in force until {_iso(made.ends_at_ms)} ({left})")


@click.command()
@click.argument("silence_id")
@_who
def unsilence(silence_id: str, who: str | None, comment: str) -> None:
    """End the silence SILENCE_ID now."""
    from parallelm.operations.silences import end_silence

    end_silence(load_settings(), silence_id, who=who or getpass.getuser(), comment=comment)
    echo(f"silence {silence_id} has ended")


@click.command()
@click.option("--all", "also_ended", is_flag=True, help="Also those that ended in the last days.")
@result_options
def silences(format_: str, output: Path | None, *, also_ended: bool) -> None:
    """List silences: in force, to come, and with --all those that ended."""
    import pandas as pd

    from parallelm.operations.silences import list_silences

    now_ms = time.time_ns() // 1_000_000
    rows = [
        _row(each, now_ms)
        for each in list_silences(load_settings())
        if also_ended or each.ends_at_ms > now_ms
    ]
    columns = ["silence_id", "state", "matchers", "starts_at", "ends_at", "who", "comment"]
    write_result(pd.DataFrame(rows, columns=columns), format_, output)


def _row(silence: Silence, now_ms: int) -> dict[str, object]:
    from parallelm.operations.silences import matchers_of

    state = (
        "ended"
        if silence.ends_at_ms <= now_ms
        else "to come"
        if silence.starts_at_ms > now_ms
        else "in force"
    )
    return {
        "silence_id": silence.silence_id,
        "state": state,
        "matchers": ", ".join(str(matcher) for matcher in matchers_of(silence)),
        "starts_at": _iso(silence.starts_at_ms),
        "ends_at": _iso(silence.ends_at_ms),
        "who": silence.who,
        "comment": silence.comment,
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
