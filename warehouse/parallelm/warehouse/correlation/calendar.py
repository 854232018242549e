"""The calendar of a regular grid of buckets: which seasons it can show, and the terms by which they are fitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_WEEK_DAYS = 7
_YEAR_MONTHS = 12
_SATURDAY = 5
_MONDAY_DAYS = 4
"""Days from 1 January 1970, a Thursday, to a Monday."""
_MIN_CYCLES = 3
"""A season is removed when the grid spans so many of its cycles."""
_GROWTH_CYCLES = 6
"""A season may grow or shrink when the grid spans so many of its cycles."""
_SLOW_BUCKETS = 60
_MAX_SLOW_TERMS = 24
_MAX_SLOTS = 24


@dataclass(frozen=True)
class Calendar:
    """``count`` buckets of ``width_ms`` from ``start_ms`` on, by a local clock (milliseconds as if it were UTC)."""

    start_ms: int
    width_ms: int
    """Of months their mean."""
    count: int
    holidays: frozenset[date] = field(default_factory=frozenset)
    has_months: bool = False
    """Whether buckets are the months of the calendar."""
    points: int | None = None
    """Buckets in which the KPI has a value; None: all."""

    @cached_property
    def starts_ms(self) -> NDArray[np.int64]:
        """Start of each bucket."""
        return self._starts_ms(np.arange(self.count, dtype=np.int64))

    def _starts_ms(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.has_months:
            first = np.datetime64(self.start_ms, "ms").astype("datetime64[M]")
            months: NDArray[np.int64] = (first + numbers).astype("datetime64[ms]").astype(np.int64)
            return months
        return self.start_ms + self.width_ms * numbers

    def from_bucket(self, number: int) -> Calendar:
        """The calendar of the buckets from ``number`` on; a negative one is before the first."""
        [start_ms] = self._starts_ms(np.array([number]))
        return replace(self, start_ms=int(start_ms), count=self.count - number)

    @cached_property
    def has_hours(self) -> bool:
        """Whether the hour of day is a season of it."""
        return self.width_ms < DAY_MS and self.width_ms * self.count >= _MIN_CYCLES * DAY_MS

    @cached_property
    def has_weekdays(self) -> bool:
        """Whether the day of week is a season of it: every week has the same days in its buckets otherwise."""
        week_ms = _WEEK_DAYS * max(DAY_MS, self.width_ms)
        is_cut = not self.has_months and self.width_ms % (_WEEK_DAYS * DAY_MS) != 0
        return is_cut and self.width_ms * self.count >= _MIN_CYCLES * week_ms

    @cached_property
    def has_year(self) -> bool:
        """Whether the month of the year is a season of it."""
        return self.has_months and self.count >= _MIN_CYCLES * _YEAR_MONTHS

    @property
    def season_lags(self) -> tuple[int, ...]:
        """Buckets after which a season comes round again."""
        lags = [_YEAR_MONTHS] if self.has_year else []
        if self.has_hours and DAY_MS % self.width_ms == 0:
            lags.append(DAY_MS // self.width_ms)
        if self.has_weekdays:
            week_ms = _WEEK_DAYS * max(DAY_MS, self.width_ms)
            lags += [week_ms // self.width_ms] if week_ms % self.width_ms == 0 else []
        return tuple(lag for lag in lags if 1 < lag <= self.count // _GROWTH_CYCLES)

    @property
    def grows(self) -> bool:
        """Whether it is long enough to tell a season that grows."""
        if self.has_months:
            return self.count >= _GROWTH_CYCLES * _YEAR_MONTHS
        cycle_ms = _WEEK_DAYS * max(DAY_MS, self.width_ms) if self.has_weekdays else DAY_MS
        return self.width_ms * self.count >= _GROWTH_CYCLES * cycle_ms

    @property
    def slow_terms(self) -> int:
        """How many slow waves the trend takes beside its line.

        One for 60 values of the KPI, and for 60 days where buckets are shorter.
        """
        points = self.count if self.points is None else self.points
        days = self.width_ms * self.count // DAY_MS
        return min(
            (min(days, points) if self.width_ms < DAY_MS else points) // _SLOW_BUCKETS, _MAX_SLOW_TERMS
        )

    @cached_property
    def weekdays(self) -> NDArray[np.int64]:
        """Day of week on which each bucket starts, Monday is 0."""
        return (self.starts_ms // DAY_MS - _MONDAY_DAYS) % _WEEK_DAYS

    @cached_property
    def months(self) -> NDArray[np.int64]:
        """Month of the year in which each bucket starts, January is 0."""
        months: NDArray[np.int64] = (
            self.starts_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
        )
        return months % _YEAR_MONTHS

    @cached_property
    def slots(self) -> NDArray[np.int64]:
        """Time of day at which each bucket starts: its place in the day, or its hour where there are many."""
        of_day = self.starts_ms % DAY_MS
        return of_day // _HOUR_MS if np.unique(of_day).size > _MAX_SLOTS else of_day // self.width_ms

    @cached_property
    def weekend_slots(self) -> NDArray[np.int64]:
        """As ``slots``, those of Saturdays and Sundays apart."""
        weekend = self.weekdays >= _SATURDAY
        return np.where(weekend, self.slots + 1, 0)

    @cached_property
    def holiday_share(self) -> NDArray[np.float64]:
        """Share of each bucket's days that are holidays."""
        days = max(1, self.width_ms // DAY_MS)
        first = self.starts_ms // DAY_MS
        known = np.array([(each - date(1970, 1, 1)).days for each in sorted(self.holidays)], dtype=np.int64)
        if self.has_months:
            bounds = self._starts_ms(np.arange(self.count + 1)) // DAY_MS
            return np.diff(np.searchsorted(known, bounds)) / np.diff(bounds)
        shares = [np.isin(first + offset, known) for offset in range(days)]
        share: NDArray[np.float64] = np.mean(np.asarray(shares, dtype=np.float64), axis=0)
        return share

    @property
    def trend_words(self) -> str:
        """What is removed as trend."""
        if not self.slow_terms:
            return "linear trend"
        period_ms = 2 * self.width_ms * self.count / (self.slow_terms + 1)
        return f"trend and movements slower than about {_length(period_ms)}"

    def season_words(self) -> tuple[str, ...]:
        """What is removed as season."""
        named = (
            (self.has_hours, "hour of day"),
            (self.has_weekdays, "day of week"),
            (self.has_year, "month of year"),
            (bool(self.holiday_share.any()), f"holidays ({_count(self.holiday_share)})"),
        )
        return tuple(words for is_there, words in named if is_there)


def indicators(factor: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """A column for each value of a factor but its first."""
    return [(factor == value).astype(np.float64) for value in np.unique(factor)[1:]]


def holidays_of(texts: Sequence[date | str]) -> frozenset[date]:
    """Dates of ISO texts; raises ``ValueError`` for what is none."""
    return frozenset(
        each if isinstance(each, date) and not isinstance(each, datetime) else date.fromisoformat(str(each))
        for each in texts
    )


def local_date(local_ms: int) -> str:
    """A moment of the local clock as text; midnight as its date alone."""
    seconds, ms = divmod(int(local_ms), 1000)
    moment = np.datetime64(seconds, "s").astype(datetime).replace(tzinfo=UTC, microsecond=ms * 1000)
    return f"{moment:%Y-%m-%d}" if local_ms % DAY_MS == 0 else f"{moment:%Y-%m-%d %H:%M}"


def _count(share: NDArray[np.float64]) -> str:
    buckets = int((share > 0).sum())
    return f"{buckets} bucket" if buckets == 1 else f"{buckets} buckets"


def _length(span_ms: float) -> str:
    return f"{span_ms / DAY_MS:.0f} days" if span_ms >= DAY_MS else f"{span_ms / _HOUR_MS:.0f} hours"
