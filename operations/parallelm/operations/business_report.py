"""What a manager reads of a week, a month or a quarter; each number has that of the period before beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parallelm.operations.errors import QuestionError
from parallelm.schemas.times import TimeError
from parallelm.warehouse.queries.business_report import (
    PERIODS,
    Period,
    report_counts,
    report_kpis,
    report_predictions,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from parallelm.connections import Settings

__all__ = [
    "PERIODS",
    "BusinessReport",
    "KpiChange",
    "MLAppNumbers",
    "Period",
    "bounds",
    "business_report",
    "calendar_of",
]

_MONTHS: Final = {"month": 1, "quarter": 3}
_FIRST_YEAR: Final = 1901
_LAST_YEAR: Final = 2298
"""The period before and the one after lie in the years that can be stored, too."""


@dataclass(slots=True)
class MLAppNumbers:
    """One MLApp in one period."""

    new: bool = False
    models: int = 0
    deployed: int = 0
    rolled_back: int = 0
    predictions: float = 0.0
    alerts: Counter[str] = field(default_factory=Counter)
    """By severity."""


@dataclass(frozen=True, slots=True)
class KpiChange:
    """Means over the points of a KPI. NaN where there is no point."""

    mlapp_id: str
    name: str
    mean: float
    points: int
    mean_before: float
    points_before: int

    @property
    def change(self) -> float:
        """Share by which the mean differs from the period before; NaN where it cannot be told."""
        if not (self.points and self.points_before and self.mean_before):
            return float("nan")
        return (self.mean - self.mean_before) / abs(self.mean_before)


@dataclass(frozen=True, slots=True)
class BusinessReport:
    """Of all MLApps that somebody may see."""

    period: Period
    start: datetime
    end: datetime
    now: Mapping[str, MLAppNumbers]
    """By MLApp."""
    before: Mapping[str, MLAppNumbers]
    kpis: tuple[KpiChange, ...]

    @property
    def last_day(self) -> date:
        """The last one that belongs to the period."""
        return (self.end - timedelta(days=1)).date()

    @property
    def total(self) -> MLAppNumbers:
        """Of all MLApps together."""
        return _total(self.now.values())

    @property
    def total_before(self) -> MLAppNumbers:
        """The same of the period before."""
        return _total(self.before.values())


def _total(numbers: Iterable[MLAppNumbers]) -> MLAppNumbers:
    total = MLAppNumbers()
    for each in numbers:
        total.models += each.models
        total.deployed += each.deployed
        total.rolled_back += each.rolled_back
        total.predictions += each.predictions
        total.alerts.update(each.alerts)
    return total


def calendar_of(timezone: str) -> tzinfo:
    """The zone of this name, whose midnight begins a day. Raises ``QuestionError`` when there is none."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise QuestionError(f"unknown time zone {timezone!r}; it is a name such as Europe/Berlin") from error


def bounds(period: Period, day: datetime, zone: tzinfo = UTC) -> tuple[datetime, datetime, datetime]:
    """Start of the period before, start and end of the one that ``day`` is in, by the calendar of ``zone``."""
    local = day.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "week":
        start = local - timedelta(days=local.weekday())
        return start - timedelta(days=7), start, start + timedelta(days=7)
    months = _MONTHS[period]
    start = local.replace(day=1, month=local.month - (local.month - 1) % months)
    return _moved(start, -months), start, _moved(start, months)


def _moved(start: datetime, months: int) -> datetime:
    number = start.year * 12 + start.month - 1 + months
    return start.replace(year=number // 12, month=number % 12 + 1)


def business_report(
    settings: Settings,
    period: Period,
    day: date | None = None,
    *,
    zone: tzinfo = UTC,
    mlapps: frozenset[str] | None = None,
) -> BusinessReport:
    """Numbers of the period that ``day`` (None: today) is in, by the calendar of ``zone``.

    ``mlapps`` are those to show, None: all. Raises ``TimeError`` for a day outside of the years that can be stored.
    """
    if day is not None and not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise TimeError(f"the day {day} is outside the years {_FIRST_YEAR} to {_LAST_YEAR}")
    moment = datetime.now(UTC) if day is None else datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    before, start, end = bounds(period, moment, zone)

    def shown(mlapp_id: str) -> bool:
        return mlapps is None or mlapp_id in mlapps

    kpis = [
        KpiChange(**row) for row in report_kpis(settings, *_utc(before, start, end)) if shown(row["mlapp_id"])
    ]
    return BusinessReport(
        period,
        start,
        end,
        {key: each for key, each in _numbers(settings, start, end).items() if shown(key)},
        {key: each for key, each in _numbers(settings, before, start).items() if shown(key)},
        tuple(kpis),
    )


def _utc(*moments: datetime) -> tuple[datetime, ...]:
    return tuple(moment.astimezone(UTC).replace(tzinfo=None) for moment in moments)


def _numbers(settings: Settings, start: datetime, end: datetime) -> dict[str, MLAppNumbers]:
    found: dict[str, MLAppNumbers] = defaultdict(MLAppNumbers)
    first, last = _utc(start, end)
    for row in report_counts(settings, first, last):
        numbers = found[row["mlapp_id"]]
        if row["what"] == "alerts":
            numbers.alerts[row["detail"]] = row["n"]
        elif row["what"] == "new_mlapps":
            numbers.new = True
        else:
            setattr(numbers, row["what"], row["n"])
    for mlapp_id, predictions in report_predictions(settings, first, last).items():
        found[mlapp_id].predictions = predictions
    return dict(found)
