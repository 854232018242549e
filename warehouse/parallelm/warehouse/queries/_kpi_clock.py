"""Whether a KPI's days are those of the buckets into which it is put: told by the times of day of its points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._buckets import DAY_MS, HOUR_MS, MINUTE_MS
from parallelm.warehouse.queries._frames import frame

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._buckets import Buckets
    from parallelm.warehouse.queries._frames import Conditions

_NOON_MS = 12 * HOUR_MS
_QUARTER_MS = 15 * MINUTE_MS
_SUMMER_MS = (HOUR_MS // 2, HOUR_MS)
"""By which clocks differ between summer and winter."""
_ZONES_AROUND_UTC = (
    "Europe/London",
    "Europe/Lisbon",
    "Atlantic/Azores",
    "Africa/Casablanca",
    "America/Scoresbysund",
    "Antarctica/Troll",
)
"""Zones that have the clock of UTC for a part of the year; all others of these years have the clock of one of them."""


def clock_notes(
    settings: Settings,
    name: str,
    rows: tuple[str, Conditions],
    times: Collection[int],
    buckets: Buckets,
    timezone: str | None,
) -> list[str]:
    """What is odd about the KPI's days in these buckets; raises ``QueryError`` when they seem to be of a zone that was not named.

    ``rows`` are the points as table and condition, ``times`` their times of day in UTC, in milliseconds: a few of them are
    enough to tell that there are many.
    """
    if not buckets.are_whole_days or not times:
        return []
    if timezone is None:
        zone = _another_zone(settings, rows, sorted(times))
        if zone is not None:
            shown = " and ".join(
                f"{each // HOUR_MS:02d}:{each % HOUR_MS // MINUTE_MS:02d}" for each in sorted(times)
            )
            raise QueryError(
                f"all points of KPI {name!r} are at {shown} UTC: they look like days of another time zone. Name it with "
                f"--timezone (timezone), such as {zone}, or say UTC"
            )
    elif set(times) == {0} and not _begin_days(settings, rows, (buckets.timezone,)):
        zone = buckets.timezone
        note = f"all points of the KPI are at midnight UTC, which lies within a day of {zone}: if they mean days of UTC, "
        return [note + "ask with --timezone UTC"]
    return []


def _another_zone(settings: Settings, rows: tuple[str, Conditions], times: Sequence[int]) -> str | None:
    """A zone whose days the points may be, or an example of one; None when they are none but UTC's."""
    if any(each % _QUARTER_MS for each in times) or list(times) in ([0], [_NOON_MS]):
        return None  # noon is taken as noon
    if times[0] == 0:
        # Midnights of London are those of UTC in winter and no others: that tells them from points at two times of a day.
        return next(iter(_begin_days(settings, rows, _ZONES_AROUND_UTC)), None)
    is_summer_and_winter = len(times) == 2 and times[1] - times[0] in _SUMMER_MS  # noqa: PLR2004 - two times
    return "Europe/Berlin" if len(times) == 1 or is_summer_and_winter else None


def _begin_days(settings: Settings, rows: tuple[str, Conditions], zones: Sequence[str]) -> list[str]:
    """Those of ``zones`` in which every point is the beginning of a day."""
    table, where = rows
    # Where a clock skips midnight, or has it twice, a day begins when its date does.
    local = "toTimeZone(event_time, '{zone}')"
    begins = (
        f"positiveModulo(toUnixTimestamp64Milli(event_time) + 1000 * toInt64(timezoneOffset({local})), {DAY_MS}) = 0"
        f" OR toDate32({local}) != toDate32({local} - toIntervalSecond(1))"
    )
    every = ", ".join(f"min({begins.format(zone=zone)})" for zone in zones)
    found = frame(
        settings,
        f"SELECT {every} FROM {table} {where} {'AND' if str(where) else 'WHERE'} isFinite(value)",  # noqa: S608 - our own names
        where.parameters,
    )
    return [zone for zone, each in zip(zones, found.iloc[0], strict=True) if each]
