"""The time range that a page shows: in its address, so that every view can be sent as a link.

``from`` and ``to`` are event times, ``known_at`` is the moment whose knowledge counts. Without a range a page shows all that
there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query

from parallelm.schemas.times import ceil_ms, time_ns


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open: ``start_ms`` is in it, ``end_ms`` is not. Milliseconds since 1970; None: no bound."""

    start_ms: int | None = None
    end_ms: int | None = None
    known_at_ms: int | None = None
    written: tuple[tuple[str, str], ...] = ()
    """As the address has it."""

    @property
    def query(self) -> str:
        """For links to other pages of the same range."""
        return urlencode(self.written)


def time_range(
    start: Annotated[str, Query(alias="from")] = "",
    end: Annotated[str, Query(alias="to")] = "",
    known_at: str = "",
) -> TimeRange:
    """The range of a request; ``TimeError`` for what is no time."""
    written = (("from", start), ("to", end), ("known_at", known_at))
    start_ms, end_ms, known_at_ms = (ceil_ms(time_ns(text)) if text else None for _, text in written)
    return TimeRange(start_ms, end_ms, known_at_ms, tuple(each for each in written if each[1]))


Shown = Annotated[TimeRange, Depends(time_range)]
"""Parameter of a handler."""
