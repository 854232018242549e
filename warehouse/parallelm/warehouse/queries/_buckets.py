"""Buckets of local time: their width, the clock that cuts them, and words for them."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from parallelm.warehouse.errors import QueryError

if TYPE_CHECKING:
    from parallelm.warehouse.correlation import Calendar

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
ORIGIN_MS = 4 * DAY_MS
"""Buckets start on a Monday: weeks are then the calendar's, and days and hours are cut as everywhere."""
MONTH = "month"
_MEAN_MONTH_MS = 146_097 * DAY_MS // 4800
_MONTH_DAYS = (28, 31)
_LONG_BEFORE_MS = 200 * 366 * DAY_MS

_UTC_NAMES = frozenset(
    {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "UCT"}
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((7 * DAY_MS, "week"), (DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute"))


@dataclass(frozen=True, slots=True)
class Buckets:
    """A width in whole minutes, or months, and the time zone whose clock cuts the buckets."""

    width_ms: int
    """Of months their mean."""
    timezone: str
    are_months: bool = False

    def sql(self, column: str) -> str:
        """Number of the bucket of a time, as SQL; Monday 5 January 1970 begins with bucket 0, or that January is it."""
        if self.are_months:
            local = f"toTimeZone({column}, '{self.timezone}')"
            return f"toInt32((toYear({local}) - 1970) * 12 + toMonth({local}) - 1)"
        local_ms = f"toUnixTimestamp64Milli({column})"
        if self.timezone != "UTC":
            local_ms += f" + toInt64(timezoneOffset(toTimeZone({column}, '{self.timezone}'))) * 1000"
        # Counted from long before 1900, where whole division rounds down as it does after 1970.
        earlier = -(-_LONG_BEFORE_MS // self.width_ms)
        return f"toInt32(intDiv({local_ms} - {ORIGIN_MS} + {earlier * self.width_ms}, {self.width_ms}) - {earlier})"

    def start_ms(self, number: int) -> int:
        """Start of a bucket by the local clock, in milliseconds as if that were UTC."""
        if self.are_months:
            years, month = divmod(int(number), 12)
            return (date(1970 + years, month + 1, 1) - _EPOCH.date()) // timedelta(milliseconds=1)
        return ORIGIN_MS + int(number) * self.width_ms

    def day(self, number: int) -> str:
        """Start of a bucket as text."""
        return f"{_EPOCH + timedelta(milliseconds=self.start_ms(number)):%Y-%m-%d %H:%M}"

    def moment(self, local: str) -> str:
        """A time of the local clock as text that names its zone, unless that is UTC."""
        if self.timezone in _UTC_NAMES:
            return local.replace(" ", "T")
        return datetime.fromisoformat(local).replace(tzinfo=zoneinfo.ZoneInfo(self.timezone)).isoformat()

    @property
    def are_whole_days(self) -> bool:
        """Whether every day of its clock lies within one bucket."""
        return self.are_months or self.width_ms % DAY_MS == 0

    @property
    def are_days_of_utc(self) -> bool:
        """Whether every day of UTC lies within one bucket."""
        return self.are_whole_days and self.timezone in _UTC_NAMES

    @property
    def word(self) -> str:
        """What one bucket is called: month, week, day, hour, or ``bucket of 6 hours``."""
        if self.are_months:
            return MONTH
        for unit_ms, name in _UNITS:
            if self.width_ms % unit_ms == 0:
                count = self.width_ms // unit_ms
                return name if count == 1 else f"bucket of {count} {name}s"
        return "bucket"  # pragma: no cover - widths are whole minutes

    @property
    def words(self) -> str:
        """What several are called."""
        first, _, rest = self.word.partition(" ")
        return f"{first}s {rest}".rstrip()

    def later(self, lag: int) -> str:
        """A lag in words."""
        if lag == 0:
            return "on the same day" if self.word == "day" else f"in the same {self.word}"
        return f"{lag} {self.word if lag == 1 else self.words} later"

    def wider(self, count: int) -> str:
        """So many buckets as one, as an option takes them."""
        width_ms = count * self.width_ms
        if _MONTH_DAYS[0] * DAY_MS <= width_ms <= _MONTH_DAYS[1] * DAY_MS:
            return MONTH
        for unit_ms, unit in ((DAY_MS, "D"), (HOUR_MS, "h")):
            if width_ms % unit_ms == 0:
                return f"{width_ms // unit_ms}{unit}"
        return f"{width_ms // MINUTE_MS}min"

    def calendar(self, first: int, count: int, holidays: frozenset[date]) -> Calendar:
        """The calendar of ``count`` buckets from number ``first`` on."""
        from parallelm.warehouse.correlation import Calendar

        return Calendar(self.start_ms(first), self.width_ms, count, holidays, has_months=self.are_months)


def make_buckets(bucket: str, timezone: str | None) -> Buckets:
    """Buckets as asked for; raises ``QueryError`` for a width or time zone that is none."""
    zone = checked_zone(timezone or "UTC")
    if bucket == MONTH:
        return Buckets(_MEAN_MONTH_MS, zone, are_months=True)
    return Buckets(_width_ms(bucket), zone)


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
        raise QueryError(
            f"bucket {bucket!r} is not a time delta such as 1D, 6h or 30min, nor 'month': {error}"
        ) from error
    if width_ms <= 0 or width_ms % MINUTE_MS:
        raise QueryError(f"bucket {bucket!r} is not a positive number of whole minutes")
    return width_ms
