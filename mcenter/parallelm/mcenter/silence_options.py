"""Options of commands that silence alerts: matchers, durations, and who does it why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from parallelm.definitions.durations import parse_duration
from parallelm.definitions.matchers import Matcher, parse_matcher
from parallelm.mcenter.answer_options import WHO
from parallelm.mcenter.not_empty import not_empty

if TYPE_CHECKING:
    from collections.abc import Callable


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


def who_and_why(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--who`` and ``--comment``."""
    command = click.option("--comment", required=True, callback=not_empty, help="Why.")(command)
    return WHO(command)


def shown_time(at_ms: int) -> str:
    """A time as people read it, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
