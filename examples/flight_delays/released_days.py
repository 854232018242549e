"""Keeps a replay of the past causal: a component processes a day only after it was released."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def released_days() -> Iterator[date]:
    """Days from standard input, one ISO date per line; prints ``done DAY`` when a day is processed.

    With ``DAYS_DONE`` set it writes that to the file of this name: what is printed is then the log of the work alone.
    """
    name = os.environ.get("DAYS_DONE")
    done = Path(name).open("w", encoding="ascii") if name else sys.stdout  # noqa: SIM115 - until the process ends
    for line in sys.stdin:
        day = date.fromisoformat(line.strip())
        yield day
        print(f"done {day}", file=done, flush=True)
