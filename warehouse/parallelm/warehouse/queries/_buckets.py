"""Buckets of local time: their width, the clock that cuts them, and words for them."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from parallelm.warehouse.errors import QueryError

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
ORIGIN_MS = 4 * DAY_MS
"""Buckets start on a Monday: weeks are then the calendar's, and days and hours are cut as everywhere."""
_LONG_BEFORE_MS = 200 * 366 * DAY_MS

_UTC_NAMES = frozenset(
    {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "UCT"}
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((7 * DAY_MS, "week"), (DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute"))


@dataclass(frozen=True, slots=True)
class Buckets:
    """A width in whole minutes, and the time zone whose clock cuts the buckets."""

    width_ms: int
    timezone: str

    def sql(self, column: str) -> str:
        """Number of the bucket of a time, as SQL; Monday 5 January 1970 begins with bucket 0."""
        local_ms = f"toUnixTimestamp64Milli({column})"
        if self.timezone != "UTC":
            local_ms += f" + toInt64(timezoneOffset(toTimeZone({column}, '{self.timezone}'))) * 1000"
        # Counted from long before 1900, where whole division rounds down as it does after 1970.
        earlier = -(-_LONG_BEFORE_MS // self.width_ms)
        return f"toInt32(intDiv({local_ms} - {ORIGIN_MS} + {earlier * self.width_ms}, {self.width_ms}) - {earlier})"

    def start_ms(self, number: int) -> int:
        """Start of a bucket by the local clock, in milliseconds as if that were UTC."""
        return ORIGIN_MS + int(number) * self.width_ms

    def day(self, number: int) -> str:
        """Start of a bucket as text."""
        return f"{_EPOCH + timedelta(milliseconds=self.start_ms(number)):%Y-%m-%d %H:%M}"

    @property
    def are_days_of_utc(self) -> bool:
        """Whether every day of UTC lies within one bucket."""
        return self.width_ms % DAY_MS == 0 and self.timezone in _UTC_NAMES

    @property
    def word(self) -> str:
        """What one bucket is called: day, week, hour, or ``bucket of 6 hours``."""
        for unit_ms, name in _UNITS:
            if self.width_ms % unit_ms == 0:
                count = self.width_ms // unit_ms
                return name if count == 1 else f"bucket of {count} {name}s"
        return "bucket"  # pragma: no cover - widths are whole minutes

    def later(self, lag: int) -> str:
        """A lag in words."""
        if lag == 0:
            return "on the same day" if self.word == "day" else f"in the same {self.word}"
        first, _, rest = self.word.partition(" ")
        return f"{lag} {first}{'s' if lag > 1 else ''}{' ' + rest if rest else ''} later"


def make_buckets(bucket: str, timezone: str | None) -> Buckets:
    """Buckets as asked for; raises ``QueryError`` for a width or time zone that is none."""
    return Buckets(_width_ms(bucket), checked_zone(timezone or "UTC"))


def checked_zone(name: str) -> str:
    """The name of a time zone; raises ``QueryError`` when there is none of this name."""
    try:
        return zoneinfo.ZoneInfo(name).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise QueryError(f"unknown time zone {name!r}; it is a name such as Europe/Berlin") from error


def _width_ms(bucket: str) -> int:
    import pandas as pd

    try:
        width = pd.Timedelta(bucket)
        width_ms = int(width.total_seconds() * 1000)  # raises ValueError for NaT, which an empty text makes
    except (ValueError, TypeError) as error:
        raise QueryError(f"bucket {bucket!r} is not a time delta such as 1D, 6h or 30min: {error}") from error
    if width_ms <= 0 or width_ms % MINUTE_MS:
        raise QueryError(f"bucket {bucket!r} is not a positive number of whole minutes")
    return width_ms
