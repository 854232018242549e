"""Keeps a replay of the past causal: a component processes a day only after it was released."""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def released_days() -> Iterator[date]:
    """Days from standard input, one ISO date per line; prints ``done DAY`` when a day is processed."""
    for line in sys.stdin:
        day = date.fromisoformat(line.strip())
        yield day
        print(f"done {day}", flush=True)
