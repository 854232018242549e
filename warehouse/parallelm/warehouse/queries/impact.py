"""What changed with a KPI when something happened: a deployment, an alert, or any moment."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from parallelm.schemas.times import MAX_TIME_MS, MIN_TIME_MS, TIME_BOUNDS, TimeError, range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._buckets import DAY_MS, make_buckets
from parallelm.warehouse.queries._frames import frame
from parallelm.warehouse.queries._kpi_series import read_kpi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.interruption import Change
    from parallelm.warehouse.queries._buckets import Buckets
    from parallelm.warehouse.queries._kpi_series import Aggregation, KpiSeries

BEFORE, AFTER = 120, 60
_MOST = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 5


@dataclass(frozen=True)
class Impact:
    """A KPI before and after a moment."""

    kpi: str
    what: str
    """What happened, with its time."""
    change: Change | None
    """None: too short to tell."""
    sentences: tuple[str, ...]
    """The answer in plain words."""
    notes: tuple[str, ...]
    """What was left out or taken together, and what else happened in the time."""
    model: str
    """How it was estimated."""


@dataclass(frozen=True)
class _Moment:
    at_ms: int
    what: str
    mlapp_id: str | None
    deployment_id: str = ""


def impact(
    settings: Settings,
    kpi: str,
    *,
    deployment_id: str | None = None,
    alert_id: str | None = None,
    at: Time | None = None,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    kpi_aggregation: Aggregation | None = None,
    bucket: str = "1D",
    timezone: str | None = None,
    before: int = BEFORE,
    after: int = AFTER,
    holidays: Sequence[date | str] = (),
) -> Impact:
    """Compare a KPI in the ``before`` buckets before a moment with the ``after`` buckets from it on, beyond season and trend.

    The moment is when a model went live (``deployment_id``), when an alert fired (``alert_id``), or ``at``: one of the three.
    The bucket in which it lies belongs to neither side, unless it begins with it. Ids may be abbreviated. The KPI and its
    buckets are chosen as for ``correlate``. Raises ``QueryError`` when the KPI or the moment is not found or not clear.
    """
    buckets = make_buckets(bucket, timezone)
    for what, count in (("before", before), ("after", after)):
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST:
            raise QueryError(
                f"the number of buckets {what} is {count!r}; it must be a whole number from 1 to {_MOST}"
            )
    moment = _moment(settings, deployment_id, alert_id, at, mlapp_id)
    first, starts = _number(settings, buckets, moment.at_ms)
    kept = first if starts else first + 1
    series = read_kpi(
        settings,
        kpi,
        buckets,
        timezone=timezone,
        mlapp_id=mlapp_id or moment.mlapp_id,
        labels=labels,
        aggregation=kpi_aggregation,
        start=_about(buckets, first - before, -DAY_MS),
        end=_about(buckets, kept + after, DAY_MS),
    )
    change = _estimated(series, (first, kept), before, after, holidays)
    notes = list(series.notes)
    if not starts:
        came = (_EPOCH + timedelta(milliseconds=moment.at_ms)).astimezone(zoneinfo.ZoneInfo(buckets.timezone))
        notes.append(
            f"the {buckets.word} of the change, from {buckets.day(first)}, is on neither side: the change came in the middle of it, "
            f"at {came:%Y-%m-%d %H:%M} by the clock of {buckets.timezone}"
        )
    notes += _others(settings, series, moment, before, after)

    from parallelm.warehouse.interruption import MODEL

    return Impact(
        kpi, moment.what, change, tuple(_sentences(kpi, moment, change, buckets)), tuple(notes), MODEL
    )


def _about(buckets: Buckets, number: int, margin_ms: int) -> datetime:
    """Start of a bucket within a day, since local clocks differ from UTC by less; the first or last time there is, at most."""
    at_ms = buckets.start_ms(number) + margin_ms
    return _EPOCH + timedelta(milliseconds=min(max(at_ms, MIN_TIME_MS), MAX_TIME_MS))


def _estimated(
    series: KpiSeries, sides: tuple[int, int], before: int, after: int, holidays: Sequence[date | str]
) -> Change | None:
    """The change between the buckets before the first of ``sides`` and those from the second on."""
    import numpy as np

    from parallelm.warehouse.correlation.calendar import holidays_of
    from parallelm.warehouse.interruption import estimate

    try:
        days = holidays_of(holidays)
    except ValueError as error:
        raise QueryError(f"a holiday is not a date such as 2026-12-25: {error}") from error
    first, kept = sides
    numbers = np.arange(first - before, kept + after)
    places = numbers - series.first
    known = (places >= 0) & (places < series.points.size)
    values = np.full(numbers.size, np.nan)
    values[known] = series.points[places[known]]
    values[(numbers >= first) & (numbers < kept)] = np.nan
    present = np.flatnonzero(np.isfinite(values))
    if not present.size:
        return None
    low, high = int(present[0]), int(present[-1]) + 1
    calendar = series.buckets.calendar(int(numbers[low]), high - low, days)
    return estimate(values[low:high], numbers[low:high] >= kept, calendar)


def _sentences(kpi: str, moment: _Moment, change: Change | None, buckets: Buckets) -> list[str]:
    if change is None:
        needs = f"at least 14 {buckets.words} before and 3 after {moment.what}, and more to tell the season"
        return [f"too short to tell: {kpi!r} needs {needs}"]
    unsure = change.low <= 0.0 <= change.high
    first = (
        f"no change can be told: beyond season and trend, {kpi!r} moved by {change.effect:+.3g} "
        if unsure
        else f"beyond season and trend, {kpi!r} is {abs(change.effect):.3g} {'higher' if change.effect > 0 else 'lower'} "
    )
    told = f"({change.low:+.3g} … {change.high:+.3g}{_shares(change)}) from {moment.what} on"
    has_share = _is_level(change.before_mean, change.naive)
    naive_share = f" ({_percent(change.naive, change.before_mean):+.1f} %)" if has_share else ""
    naive = (
        f"the plain difference of the means, {change.after_mean:.4g} after and {change.before_mean:.4g} before, is "
        f"{change.naive:+.3g}{naive_share}: season and trend are in it"
    )
    return [first + told, naive, "what else changed at that time is in both figures"]


def _shares(change: Change) -> str:
    """The effect and its interval in percent of the expected level; empty where that is zero."""
    if not _is_level(change.expected, change.low, change.high):
        return ""
    low, high = sorted((_percent(change.low, change.expected), _percent(change.high, change.expected)))
    return f"; {_percent(change.effect, change.expected):+.1f} %, {low:+.1f} … {high:+.1f} %"


def _is_level(level: float, *parts: float) -> bool:
    """Whether shares of a level mean anything: what is fitted is not exactly zero, but as good as that."""
    return abs(level) > max(map(abs, parts)) * 1e-6


def _percent(part: float, whole: float) -> float:
    return 100.0 * part / abs(whole)


def _moment(
    settings: Settings, deployment_id: str | None, alert_id: str | None, at: Time | None, mlapp_id: str | None
) -> _Moment:
    given = [each for each in (deployment_id, alert_id, at) if each is not None]
    if len(given) != 1:
        raise QueryError("say by one of --deployment, --alert and --at when it happened")
    if deployment_id is not None:
        row = _one(settings, "deployments_current", "deployment_id", deployment_id, mlapp_id)
        if _missing(row["live_from"]):
            raise QueryError(f"deployment {row['deployment_id']!r} never went live; it is {row['state']}")
        what = f"the deployment of {row['model_name'] or row['model_id']} on {row['node_id']} ({row['live_from']:%Y-%m-%d %H:%M} UTC)"
        return _Moment(_ms(row["live_from"]), what, row["mlapp_id"], row["deployment_id"])
    if alert_id is not None:
        row = _one(settings, "alerts_current", "alert_id", alert_id, mlapp_id)
        moment = row["started_at"] if _missing(row["fired_at"]) else row["fired_at"]
        return _Moment(_ms(moment), f"alert {row['rule']} ({moment:%Y-%m-%d %H:%M} UTC)", row["mlapp_id"])
    try:
        at_ms, _ = range_ms(at, None)
    except TimeError as error:
        raise QueryError(str(error)) from None
    if at_ms is None:
        raise QueryError(f"{at} is before the years {TIME_BOUNDS} of which points are stored")
    return _Moment(at_ms, str(at), mlapp_id)


def _one(settings: Settings, view: str, column: str, wanted: str, mlapp_id: str | None) -> Mapping[Any, Any]:
    """The one row whose id is or begins with what was given."""
    found = frame(
        settings,
        f"""
        SELECT * FROM {view}
        WHERE startsWith({column}, %(wanted)s) {"AND mlapp_id = %(mlapp_id)s" if mlapp_id else ""}
        ORDER BY {column} != %(wanted)s, {column}
        LIMIT {_SHOWN + 1}
        """,  # noqa: S608 - our own names; values are parameters
        {"wanted": wanted, "mlapp_id": mlapp_id},
    )
    kind = column.removesuffix("_id")
    if found.empty or not wanted:
        raise QueryError(
            f"there is no {kind} whose id is or begins with {wanted!r}; list them with `mcenter {kind}s list`"
        )
    rows = found.to_dict("records")
    if len(rows) > 1 and rows[0][column] != wanted:
        shown = ", ".join(str(row[column]) for row in rows[:_SHOWN])
        raise QueryError(f"several {kind}s have ids that begin with {wanted!r}: {shown}")
    return rows[0]


def _number(settings: Settings, buckets: Buckets, at_ms: int) -> tuple[int, bool]:
    """Number of the bucket of a moment, and whether it begins with it."""
    time = "fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"
    found = frame(
        settings,
        f"SELECT {buckets.sql(time.format(at=int(at_ms)))} AS this, {buckets.sql(time.format(at=int(at_ms) - 1))} AS earlier",
    )
    this, earlier = int(found["this"][0]), int(found["earlier"][0])
    return this, this != earlier


def _others(settings: Settings, series: KpiSeries, moment: _Moment, before: int, after: int) -> list[str]:
    """Other deployments within the time: the step may be theirs."""
    width_ms = series.buckets.width_ms
    found: pd.DataFrame = frame(
        settings,
        """
        SELECT if(model_name = '', model_id, model_name) AS model, node_id, live_from FROM deployments_current
        WHERE mlapp_id = %(mlapp_id)s AND live_from IS NOT NULL AND deployment_id != %(own)s
          AND toUnixTimestamp64Milli(assumeNotNull(live_from)) BETWEEN %(first)s AND %(last)s
        ORDER BY live_from
        """,
        {
            "mlapp_id": series.mlapp_id,
            "own": moment.deployment_id,
            "first": moment.at_ms - before * width_ms,
            "last": moment.at_ms + after * width_ms,
        },
    )
    if found.empty:
        return []
    shown = "; ".join(
        f"{model} on {node}, {at:%Y-%m-%d}" for model, node, at in found.head(_SHOWN).itertuples(index=False)
    )
    more = "; …" if len(found) > _SHOWN else ""
    return [
        f"{len(found)} other deployments of {series.mlapp_id} went live in the time compared: {shown}{more}"
    ]


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
