"""Options that take a time: ``--from`` and ``--to``."""

from __future__ import annotations

import click

from parallelm.schemas.times import TimeError, range_ms


class TimeType(click.ParamType):
    """A side of a range of times: ISO 8601, UTC unless it names a zone."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the option's text; the query reads it."""
        try:
            range_ms(value, None)
        except TimeError as error:
            self.fail(f"{error}, such as 2026-03-01 or 2026-03-01T12:00+01:00", param, ctx)
        return value


TIME = TimeType()
