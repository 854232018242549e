"""How a KPI file is written. What is not given is detected where the file allows only one reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING

from parallelm.schemas.times import MAX_TIME_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REQUIRED = ("kpi", "timestamp", "value")
DAY_NUMBERS = "excel"
UNITS = ("s", "ms", "us", "ns", DAY_NUMBERS)
"""Of timestamps that are numbers: since 1970, or a spreadsheet's days since 30 December 1899."""

_DAY_MS = 86_400_000


class AmbiguousTimes(StrEnum):
    """How to read a local time that a clock shows twice, when summer time ends."""

    REFUSE = "refuse"
    EARLIER = "earlier"
    """The first of the two: summer time."""
    LATER = "later"
    BY_ORDER = "by-order"
    """The rows of each series are in order of time: the first pass through the hour is summer time."""


class NonexistentTimes(StrEnum):
    """How to read a local time that no clock shows, when summer time begins."""

    REFUSE = "refuse"
    FORWARD = "forward"
    """Later by the length of the gap: 02:30 is 03:30."""
    BACKWARD = "backward"
    """Earlier by the length of the gap: 02:30 is 01:30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiFileFormat:
    """How the file is written. An empty text means: detect it; two possible readings are an error."""

    encoding: str = ""
    delimiter: str = ""
    decimal: str = ""
    thousands: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Name in the file of ``kpi``, ``timestamp`` or ``value``, where it differs."""
    kpi: str = ""
    """Name of the KPI, for a file without a column of names."""
    ignore: Sequence[str] = ()
    """Columns, by their name in the file, that are not labels."""
    date_format: str = ""
    """As for ``datetime.strptime``."""
    unit: str = ""
    """One of ``UNITS``; empty: timestamps that are numbers are a mistake."""
    timezone: tzinfo = UTC
    """Of times that name none."""
    ambiguous: AmbiguousTimes = AmbiguousTimes.REFUSE
    nonexistent: NonexistentTimes = NonexistentTimes.REFUSE
    latest_ms: int = MAX_TIME_MS
    """Later timestamps are a mistake."""
    values_are_names: bool = False
    """Values are any text, such as names of classes; ``KpiFile.written`` has them, and points have 0."""


def latest_ms(now_ms: int, *, allow_future: bool) -> int:
    """Latest timestamp that is accepted: a day ahead, since clocks and time zones differ."""
    return MAX_TIME_MS if allow_future else now_ms + _DAY_MS
