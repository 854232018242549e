"""Local times in a time zone whose clocks change: those that are shown twice, and those that are never shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import TYPE_CHECKING

from parallelm.operations.kpis.format import AmbiguousTimes, NonexistentTimes

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECOND = timedelta(seconds=1)


def gap(moment: datetime, zone: tzinfo) -> timedelta:
    """By how much the clock jumps over a local time: zero for most, positive when it is never shown, negative when twice."""
    return _offset(moment, zone, 1) - _offset(moment, zone, 0)


def resolve(
    moment: datetime, zone: tzinfo, ambiguous: AmbiguousTimes, nonexistent: NonexistentTimes
) -> datetime:
    """The moment of a local time in UTC; raises ``ValueError`` when a choice is needed that was not made."""
    jump = gap(moment, zone)
    if jump < timedelta(0) and ambiguous in {AmbiguousTimes.REFUSE, AmbiguousTimes.BY_ORDER}:
        raise ValueError(
            f"{moment} is shown twice by the clocks of {zone}, when summer time ends; "
            "choose with --ambiguous by-order, earlier or later"
        )
    if jump > timedelta(0) and nonexistent is NonexistentTimes.REFUSE:
        raise ValueError(
            f"{moment} does not exist in {zone}, whose clocks skip it when summer time begins; "
            "choose with --nonexistent forward or backward, or give the file's own --timezone"
        )
    second = (
        ambiguous is AmbiguousTimes.LATER if jump < timedelta(0) else nonexistent is NonexistentTimes.BACKWARD
    )
    return at_fold(moment, zone, int(second))


def at_fold(moment: datetime, zone: tzinfo, fold: int) -> datetime:
    """The moment in UTC of a local time's first (0) or second (1) passage."""
    return moment.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def start_of_day(day: datetime, zone: tzinfo) -> datetime:
    """First moment of a day in UTC, also where its midnight does not exist or comes twice.

    Raises ``ValueError`` when the zone has no such day at all.
    """
    if gap(day, zone) <= timedelta(0):
        return at_fold(day, zone, 0)
    start = transition(day, zone)
    if start.astimezone(zone).date() != day.date():
        raise ValueError(f"{day.date()} does not exist in {zone}, whose clocks skip it")
    return start


def folds_by_order(moments: Sequence[datetime], zone: tzinfo) -> dict[int, int | str]:
    """Passage (0 or 1) of each ambiguous time in a series that is in order of time, or why it cannot be known.

    The series passes through the doubled hour twice, with one step back (forward, if it runs from new to old) between.
    """
    hours: dict[datetime, list[int]] = {}
    for index, moment in enumerate(moments):
        if gap(moment, zone) < timedelta(0):
            hours.setdefault(transition(moment, zone), []).append(index)
    if not hours:
        return {}
    doubled = {index: start for start, indexes in hours.items() for index in indexes}
    steps = {
        later > earlier
        for (before, earlier), (after, later) in pairwise(enumerate(moments))
        if later != earlier and not (before in doubled and doubled[before] == doubled.get(after))
    }
    if len(steps) > 1:
        return dict.fromkeys(doubled, "the rows of its series are not in order of time")
    rising = steps != {False}
    found: dict[int, int | str] = {}
    for indexes in hours.values():
        found |= _passages(moments, indexes, rising=rising)
    return found


def _passages(moments: Sequence[datetime], indexes: Sequence[int], *, rising: bool) -> dict[int, int | str]:
    numbers, number = [0], 0
    for before, after in pairwise(indexes):
        back = moments[after] <= moments[before] if rising else moments[after] >= moments[before]
        number += back
        numbers.append(number)
    if number != 1:
        times = "once" if number == 0 else f"{number + 1} times"
        why = f"its series passes through that hour {times}, not twice"
        return dict.fromkeys(indexes, why)
    return {
        index: passage if rising else 1 - passage for index, passage in zip(indexes, numbers, strict=True)
    }


def transition(moment: datetime, zone: tzinfo) -> datetime:
    """When the clocks change that show this local time twice or never, in UTC, to the second."""
    whole = moment.replace(microsecond=0)
    low, high = sorted(at_fold(whole, zone, fold) for fold in (0, 1))
    before = low.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _offset(moment: datetime, zone: tzinfo, fold: int) -> timedelta:
    return moment.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0)
