"""How a replay of the past stays causal: a component works on a day when somebody has released it."""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def released_days() -> Iterator[date]:
    """Days from standard input, one ISO date a line; ``done DAY`` on standard output when the work on it is over."""
    for line in sys.stdin:
        day = date.fromisoformat(line.strip())
        yield day
        print(f"done {day}", flush=True)
