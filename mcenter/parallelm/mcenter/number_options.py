"""Options that take a number within bounds: durations, shares and ports."""

from __future__ import annotations

import math

import click


class FiniteRange(click.FloatRange):
    """``click.FloatRange`` that also refuses NaN and infinities, which compare with no bound."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the option's text."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number", param, ctx)
        return number


_DAY_S = 86_400
TIMEOUT_S = FiniteRange(0, _DAY_S, min_open=True)
"""How long to wait for an answer."""
SESSION_TIMEOUT_S = FiniteRange(1, 1800)
"""The broker has bounds of its own: ``group.min.session.timeout.ms`` and ``group.max.session.timeout.ms``."""
SHARE = FiniteRange(0, 1)
COUNT = click.IntRange(1)
PORT = click.IntRange(1, 65_535)
PORT_OR_ANY = click.IntRange(0, 65_535)
"""0: any free one."""
