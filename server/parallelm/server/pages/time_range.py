"""The time range that a page shows: in its address, so that every view can be sent as a link.

``from`` and ``to`` are event times, ``known_at`` is the moment whose knowledge counts. Without a range a page shows all that
there is. ``from=-7d`` is seven days ago, whenever the link is opened (units: h, d, w).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, Query, Request

from parallelm.connections import Settings
from parallelm.schemas.times import TimeError, ceil_ms, time_ns
from parallelm.server.context import context_of
from parallelm.server.pages.filters import local_time
from parallelm.warehouse.queries import as_known_at

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = ("from", "to", "known_at")
_AGO: Final = re.compile(r"-([0-9]{1,5})([hdw])")
_UNIT_MS: Final = {"h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_PRESETS: Final = {
    "All times": "",
    "Last hour": "-1h",
    "Last day": "-1d",
    "Last 7 days": "-7d",
    "Last 30 days": "-30d",
    "Last 90 days": "-90d",
    "Last year": "-365d",
}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open: ``start_ms`` is in it, ``end_ms`` is not. Milliseconds since 1970; None: no bound."""

    start_ms: int | None = None
    end_ms: int | None = None
    known_at_ms: int | None = None
    written: tuple[tuple[str, str], ...] = ()
    """As the address has it."""

    @property
    def start(self) -> datetime | None:
        """As questions take it."""
        return _moment(self.start_ms)

    @property
    def end(self) -> datetime | None:
        """As questions take it."""
        return _moment(self.end_ms)

    @property
    def known_at(self) -> datetime | None:
        """As questions take it."""
        return _moment(self.known_at_ms)

    @property
    def query(self) -> str:
        """For links to other pages of the same range."""
        return urlencode(self.written)

    def words(self, zone: str) -> str:
        """The range as the picker's button says it."""
        start, end = local_time(self.start_ms, zone)[:-3], local_time(self.end_ms, zone)[:-3]
        written = dict(self.written)
        names = {value: name for name, value in _PRESETS.items()}
        if not end and (preset := names.get(written.get("from", ""))):
            text = preset
        elif start and end:
            text = f"{start} to {end}"
        else:
            text = f"From {start}" if start else f"Until {end}"
        known_at = local_time(self.known_at_ms, zone)[:-3]
        return f"{text}, as known at {known_at}" if known_at else text

    @staticmethod
    def presets() -> list[tuple[str, str]]:
        """Titles of usual ranges with their ``from``."""
        return list(_PRESETS.items())

    def replaced(self, query: Iterable[tuple[str, str]], start: str) -> str:
        """An address's query with another start and no end; what else it asks for stays."""
        kept = [(name, value) for name, value in query if name not in {"from", "to"}]
        return urlencode([*kept, ("from", start)] if start else kept)


def time_range(
    start: Annotated[str, Query(alias="from")] = "",
    end: Annotated[str, Query(alias="to")] = "",
    known_at: str = "",
) -> TimeRange:
    """The range of a request; ``TimeError`` for what is no time."""
    written = tuple((name, text) for name, text in zip(_NAMES, (start, end, known_at), strict=True) if text)
    start_ms, end_ms, known_at_ms = (_moment_ms(text) for text in (start, end, known_at))
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        raise TimeError(f"the range ends at {end}, which is not after its start {start}")
    return TimeRange(start_ms, end_ms, known_at_ms, written)


def known_settings(request: Request) -> Settings:
    """With which everything that a page shows is read as it was known at the moment that its address names, or as it is now."""
    known_at = _moment(_moment_ms(request.query_params.get("known_at", "")))
    return as_known_at(context_of(request).settings, known_at)


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _EPOCH + timedelta(milliseconds=at_ms)


def _moment_ms(text: str) -> int | None:
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        return int(time.time() * 1000) - int(ago[1]) * _UNIT_MS[ago[2]]
    return ceil_ms(time_ns(text))


Shown = Annotated[TimeRange, Depends(time_range)]
"""Parameter of a handler."""
