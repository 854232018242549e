"""Statistics as lines to draw: each series in at most so many buckets of a window, none of its peaks lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.schemas.times import range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import Conditions, records
from parallelm.warehouse.queries._known_at import knows_everything

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore

MOST_POINTS: Final = 2_000
MOST_SERIES: Final = 200
_DAY_MS: Final = 86_400_000
WIDTHS_MS: Final = (
    *(1, 10, 100, 1_000, 5_000, 10_000, 30_000),
    *(minutes * 60_000 for minutes in (1, 5, 10, 30)),
    *(hours * 3_600_000 for hours in (1, 3, 6, 12)),
    *(days * _DAY_MS for days in (1, 7, 28, 364)),
)
"""Widths of buckets; all but the weeks divide the next one."""
_NEVER_MS: Final = 10_413_791_999_999
"""The last moment that the warehouse can hold: end of the year 2299."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a statistic; its lists are parallel and in the order of time."""

    name: str
    node_id: str
    agent_id: str
    model_id: str
    labels: Mapping[str, str]
    times_ms: list[int]
    """Starts of buckets."""
    means: list[float]
    minima: list[float]
    maxima: list[float]
    """NaN where a bucket has no finite sample."""
    samples: list[int]


@dataclass(frozen=True, slots=True)
class Lines:
    """Series of a window in buckets of one width."""

    lines: list[Line]
    start_ms: int | None
    """Of the window; None when nothing was reported."""
    end_ms: int | None
    width_ms: int
    left_out: int
    """Series beyond ``MOST_SERIES``."""


def statistic_lines(
    settings: Settings,
    name: OneOrMore,
    *,
    mlapp_id: str,
    node_id: str | None = None,
    agent_id: str | None = None,
    model_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
    points: int = 1_000,
) -> Lines:
    """Every series of a statistic from ``start`` to ``end``, each in at most ``points`` buckets (2,000 at most).

    Without a side the window begins or ends with what was reported. Buckets of a day or more come from the rollup, which
    outlives the samples; with ``known_at`` all come from the samples that had arrived by then. Raises ``QueryError``.
    """
    if isinstance(points, bool) or not 1 <= points <= MOST_POINTS:
        raise QueryError(f"the number of points is {points!r}; it must be from 1 to {MOST_POINTS}")
    where = Conditions().equal(
        name=name, mlapp_id=mlapp_id, node_id=node_id, agent_id=agent_id, model_id=model_id
    )
    where.labels(labels).known("ingested_at", known_at)
    start_ms, end_ms = _window(settings, where, start, end)
    if start_ms is None or end_ms is None or start_ms >= end_ms:
        return Lines([], start_ms, end_ms, WIDTHS_MS[0], 0)
    width_ms = next(
        (each for each in WIDTHS_MS if (end_ms - start_ms) / each <= max(1, points - 1)), WIDTHS_MS[-1]
    )
    is_by_day = width_ms >= _DAY_MS and known_at is None and knows_everything(settings)
    found = _lines(settings, where, start_ms, end_ms, width_ms, is_by_day=is_by_day)
    return Lines(found[:MOST_SERIES], start_ms, end_ms, width_ms, max(0, len(found) - MOST_SERIES))


def newer_lines(
    settings: Settings,
    name: str,
    *,
    mlapp_id: str,
    node_id: str | None = None,
    agent_id: str | None = None,
    model_id: str | None = None,
    start_ms: int,
    width_ms: int,
    changed_ms: int,
    room_ms: int,
) -> Lines:
    """The ends of lines that ``statistic_lines`` gave from ``start_ms`` in buckets of ``width_ms``, now that more has arrived.

    ``changed_ms`` is the earliest event time of what has: all buckets from its own on. ``start_ms`` of the answer is the start of
    that bucket. Where more than ``room_ms`` lies between ``start_ms`` and the last sample no lines are read.
    """
    if width_ms not in WIDTHS_MS:
        raise QueryError(f"the width of buckets is {width_ms!r} ms; it must be one of {WIDTHS_MS}")
    where = Conditions().equal(
        name=name, mlapp_id=mlapp_id, node_id=node_id, agent_id=agent_id, model_id=model_id
    )
    first_ms = changed_ms // width_ms * width_ms
    [latest] = records(
        settings,
        f"""
        SELECT toUnixTimestamp64Milli(max(event_time)) AS at_ms FROM statistics {where}
            AND event_time >= fromUnixTimestamp64Milli(toInt64(%(first_ms)s), 'UTC')
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | {"first_ms": changed_ms},
    )
    if (end_ms := latest["at_ms"] // width_ms * width_ms + 1) - start_ms > room_ms:
        return Lines([], first_ms, end_ms, width_ms, 0)
    found = _lines(
        settings, where, max(start_ms, first_ms), _NEVER_MS, width_ms, is_by_day=width_ms >= _DAY_MS
    )
    end_ms = max((line.times_ms[-1] for line in found), default=first_ms) + 1
    return Lines(found[:MOST_SERIES], first_ms, end_ms, width_ms, max(0, len(found) - MOST_SERIES))


def _window(
    settings: Settings, where: Conditions, start: Time | None, end: Time | None
) -> tuple[int | None, int | None]:
    first_ms, last_ms = range_ms(start, end)
    if first_ms is not None and last_ms is not None:
        return first_ms, last_ms
    [row] = records(
        settings,
        f"""
        SELECT count() AS n, toUnixTimestamp64Milli(min(event_time)) AS first, toUnixTimestamp64Milli(max(event_time)) AS last
        FROM statistics {where}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
    if not row["n"]:
        return first_ms, last_ms
    return row["first"] if first_ms is None else first_ms, row["last"] + 1 if last_ms is None else last_ms


_FROM_SAMPLES: Final = """
    countIf(isFinite(value)) AS n, if(n = 0, nan, sumIf(value, isFinite(value)) / n) AS mean,
    if(n = 0, nan, minIf(value, isFinite(value))) AS low, if(n = 0, nan, maxIf(value, isFinite(value))) AS high
"""
_FROM_DAYS: Final = """
    sum(samples) AS n, if(n = 0, nan, sum(sum_value) / n) AS mean,
    if(n = 0, nan, minIf(min_value, isFinite(min_value))) AS low, if(n = 0, nan, maxIf(max_value, isFinite(max_value))) AS high
"""


def _lines(
    settings: Settings, where: Conditions, start_ms: int, end_ms: int, width_ms: int, *, is_by_day: bool
) -> list[Line]:
    source, time, aggregates = (
        ("statistics_by_day", "bucket_start", _FROM_DAYS)
        if is_by_day
        else ("statistics", "event_time", _FROM_SAMPLES)
    )
    # Days are cut at midnight: the one in which the window starts belongs to it.
    first_ms = start_ms // _DAY_MS * _DAY_MS if is_by_day else start_ms
    found = records(
        settings,
        f"""
        SELECT name, node_id, agent_id, model_id, labels, groupArray(at) AS times_ms, groupArray(mean) AS means,
               groupArray(low) AS minima, groupArray(high) AS maxima, groupArray(n) AS samples
        FROM
        (
            SELECT name, node_id, agent_id, model_id, labels,
                   intDiv(toUnixTimestamp64Milli({time}), %(width_ms)s) * %(width_ms)s AS at, {aggregates}
            FROM {source} {where}
                AND {time} >= fromUnixTimestamp64Milli(toInt64(%(first_ms)s), 'UTC')
                AND {time} < fromUnixTimestamp64Milli(toInt64(%(end_ms)s), 'UTC')
            GROUP BY name, node_id, agent_id, model_id, labels, at
            ORDER BY at
        )
        GROUP BY name, node_id, agent_id, model_id, labels
        ORDER BY name, node_id, model_id, agent_id, toString(labels)
        """,  # noqa: S608 - made of our own names; values are parameters
        where.parameters | {"width_ms": width_ms, "first_ms": first_ms, "end_ms": end_ms},
    )
    return [Line(**_as_lists(row)) for row in found]


def _as_lists(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple | list) else value for key, value in row.items()}
