"""When the runs of a schedule are due, as Debian's cron has it where clocks are put forward and back.

A schedule whose minute and hour both name times (``30 2 * * *``) runs once for each of them: a time that is skipped
becomes the first one after the gap, and of one that comes twice the first counts. A schedule with a star in either
(``*/15 * * * *``) runs by the clock on the wall: not at times that are skipped, and twice at those that come twice.
"""

from __future__ import annotations

import heapq
import itertools
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.definitions.running import ScheduleForm

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def due_times(schedule: ScheduleForm, after_ms: int, until_ms: int) -> Iterator[int]:
    """Times that are due after ``after_ms`` and not after ``until_ms``, in order, epoch milliseconds, without jitter."""
    return itertools.takewhile(lambda due_ms: due_ms <= until_ms, _all_after(schedule, after_ms))


def next_due(schedule: ScheduleForm, after_ms: int) -> int | None:
    """The first time that is due after ``after_ms``, without jitter; None: no month of the next fifty years has it."""
    return next(_all_after(schedule, after_ms), None)


def jitter_ms(schedule: ScheduleForm, mlapp_id: str, node_id: str) -> int:
    """How long after it is due each run of a node begins: from 0 to below ``jitter``, always the same."""
    if not schedule.jitter:
        return 0
    digest = blake2b(f"{mlapp_id}\0{node_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % schedule.jitter


def _all_after(schedule: ScheduleForm, after_ms: int) -> Iterator[int]:
    """Times on the wall come from cronsim; which instants they are is decided here.

    cronsim's own way with zones loses times where clocks change by half an hour, as in Australia/Lord_Howe.
    """
    zone = ZoneInfo(schedule.timezone)
    by_the_wall = any(field.startswith("*") for field in schedule.cron.split()[:2])
    pending: list[int] = []  # second occurrences: they come after the first ones of later times on the wall
    for wall in CronSim(schedule.cron, _first_wall(after_ms, zone)):
        first, second = (_instant_ms(wall, zone, fold) for fold in (0, 1))
        while pending and pending[0] < min(first, second):
            yield heapq.heappop(pending)
        if first > second:  # skipped: clocks are put forward past it
            due = [] if by_the_wall else [_end_of_gap_ms(wall, zone)]
        elif first < second and by_the_wall:
            due = [first, second]
        else:
            due = [first]
        for each in due:
            if each > after_ms and each not in pending:
                heapq.heappush(pending, each)
    while pending:
        yield heapq.heappop(pending)


def _first_wall(after_ms: int, zone: ZoneInfo) -> datetime:
    """A time on the wall from which on all later instants are found: earlier by the hour that is to come again."""
    local = (_EPOCH + timedelta(milliseconds=after_ms)).astimezone(zone)
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    again = max(first - second, timedelta())
    return local.replace(tzinfo=None) - again - timedelta(seconds=1)


def _instant_ms(wall: datetime, zone: ZoneInfo, fold: int) -> int:
    return (wall.replace(tzinfo=zone, fold=fold) - _EPOCH) // timedelta(milliseconds=1)


def _end_of_gap_ms(wall: datetime, zone: ZoneInfo) -> int:
    """The instant at which clocks are put forward: the first minute on the wall that is none of the gap."""
    while _instant_ms(wall, zone, 0) > _instant_ms(wall, zone, 1):
        wall += timedelta(minutes=1)
    return _instant_ms(wall, zone, 0)
