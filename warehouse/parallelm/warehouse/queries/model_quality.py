"""How good predictions were, once their outcomes are known: computed in ClickHouse from ``outcomes``, at the prediction's time."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from parallelm.schemas.times import Time, TimeError, range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._buckets import checked_zone
from parallelm.warehouse.queries._frames import Conditions, fetch, frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from parallelm.connections import Settings

Bucket = Literal["hour", "day", "week", "month"]
_STARTS = {
    "hour": "toStartOfHour(event_time, %(timezone)s)",
    "day": "toStartOfDay(event_time, %(timezone)s)",
    "week": "toDateTime(toMonday(event_time, %(timezone)s), %(timezone)s)",
    "month": "toDateTime(toStartOfMonth(event_time, %(timezone)s), %(timezone)s)",
}
_INTO_THE_NEXT: dict[Bucket, timedelta] = {
    "hour": timedelta(minutes=105),
    "day": timedelta(hours=26),
    "week": timedelta(days=8),
    "month": timedelta(days=32),
}
"""From the start of a bucket into the next one: also where clocks change by an hour, or by half an hour."""
OVER, UNDER = "over", "under"
"""Keys of costs of numbers: what one unit too much costs, and one too little."""
ROWS_AT_ONCE = 250_000
"""Predictions that are judged by one question, unless a bucket has more."""
FIRST, LAST = "1900-01-01 00:00:00", "2299-12-31 23:59:59"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_JUDGED = """
    *,
    multiIf(
        NOT is_known, false,
        kind = 'class', true,
        kind = 'score', actual_number IN (0, 1) AND isFinite(value),
        isFinite(actual_number) AND isFinite(value)
    ) AS judged,
    judged AND kind = 'score' AS is_score,
    judged AND kind = 'number' AS is_number,
    multiIf(kind = 'class', predicted_class, kind = 'score', if(value >= %(threshold)s, '1', '0'), '') AS decision,
    if(is_score, toString(toUInt8(if(is_score, actual_number, 0))), actual) AS decided_by,
    decision = decided_by OR ifNull(toFloat64OrNull(decision) = actual_number, false) AS is_correct,
    least(greatest(value, 2.220446049250313e-16), 1 - 2.220446049250313e-16) AS probability,
    value - actual_number AS error,
    if(
        kind = 'number',
        %(over)s * greatest(error, 0) + %(under)s * greatest(-error, 0),
        transform(concat(decision, ':', decided_by), %(cost_keys)s, %(cost_values)s, 0.)
    ) AS cost_of_one
"""

_MEASURES = """
    count() AS predictions,
    countIf(judged) AS known,
    known / predictions AS known_share,
    countIf(is_known AND NOT judged) AS unusable,
    avgIf(is_correct, judged AND kind != 'number') AS accuracy,
    arrayROCAUC(groupArrayIf(value, is_score), groupArrayIf(toUInt8(actual_number = 1), is_score)) AS auc,
    avgIf(-log(if(actual_number = 1, probability, 1 - probability)), is_score) AS log_loss,
    avgIf(error * error, is_score) AS brier,
    arraySum(tenth -> abs(tenth), sumMapIf([if(is_score, least(9, floor(value * 10)), 0)], [error], is_score).2)
        / countIf(is_score) AS calibration_error,
    sqrt(avgIf(error * error, is_number)) AS rmse,
    avgIf(abs(error), is_number) AS mae,
    avgIf(value, is_score OR is_number) AS mean_predicted,
    avgIf(actual_number, is_score OR is_number) AS mean_actual,
    if(has(%(priced_kinds)s, kind), avgIf(cost_of_one, judged), nan) AS cost,
    if(isNaN(cost), nan, sumIf(cost_of_one / sampled_share, judged)) AS total_cost
"""
STATISTIC_PREFIX = "quality."
"""Of the names under which quality is reported as statistics."""
MEASURES = (
    "accuracy", "auc", "log_loss", "brier", "calibration_error", "rmse", "mae", "mean_predicted", "mean_actual", "cost",
)  # fmt: skip
"""Columns of ``model_quality`` that say how good the predictions were; NaN where they do not apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Which predictions are judged, and how."""

    mlapp_id: str | None = None
    outcome: str | None = None
    model_id: str | None = None
    start: Time | None = None
    """Of the predictions' times."""
    end: Time | None = None
    known_at: Time | None = None
    """Only what had arrived at this moment; None: everything."""
    threshold: float = 0.5
    """A score from here on decides for 1."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """What one prediction costs, by ``decision:actual`` (``1:0``, ``late:on time``); of numbers by ``over`` and ``under``.

    A pair that is not named costs nothing; where none can apply, the cost is NaN."""


def model_quality(
    settings: Settings,
    judged: Judged,
    *,
    by: Bucket | None = "day",
    segment: str | None = None,
    timezone: str = "UTC",
) -> pd.DataFrame:
    """Quality by time, model and segment, of predictions made in each bucket, with the share of known outcomes.

    Columns: ``bucket_start`` (with ``by``), ``mlapp_id, node_id, outcome, kind, model_id``, ``segment`` (with one: the value
    of this feature, empty when missing), ``predictions, known, known_share, unusable``, and ``MEASURES`` and ``total_cost``,
    which counts predictions that were not sampled by their share. Raises ``QueryError``.
    """
    import pandas as pd

    zone = checked_zone(timezone)
    parts = [judged] if by is None else _parts(settings, judged, _checked(by), zone)
    frames = [_quality(settings, part, by, segment, zone) for part in parts]
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def whole_buckets(
    start: Time | None, end: Time | None, by: Bucket, timezone: str = "UTC"
) -> tuple[datetime | None, datetime | None]:
    """``start`` and ``end`` moved out to the edges of the buckets in which they lie; None stays open. Raises ``QueryError``."""
    zone, by = zoneinfo.ZoneInfo(checked_zone(timezone)), _checked(by)
    try:
        first_ms, last_ms = range_ms(start, end)
    except TimeError as error:
        raise QueryError(str(error)) from None
    first = last = None
    if first_ms is not None:
        first = _bucket_start(_EPOCH + timedelta(milliseconds=first_ms), by, zone)
    if last_ms is not None:
        within = _bucket_start(_EPOCH + timedelta(milliseconds=last_ms - 1), by, zone)
        last = _bucket_start(within + _INTO_THE_NEXT[by], by, zone)
    return first, last


def _checked(by: Bucket) -> Bucket:
    if by not in _STARTS:
        raise QueryError(f"quality by {by!r}: it must be one of {', '.join(_STARTS)}")
    return by


def _bucket_start(moment: datetime, by: Bucket, zone: zoneinfo.ZoneInfo) -> datetime:
    local = moment.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    if by != "hour":
        # A midnight that the clock shows twice is the first; one that it skips is read with the offset before, as ClickHouse does.
        local = local.replace(hour=0, fold=0)
    if by == "week":
        local -= timedelta(days=local.weekday())
    if by == "month":
        local = local.replace(day=1)
    return local.astimezone(UTC)


def _quality(
    settings: Settings, judged: Judged, by: Bucket | None, segment: str | None, zone: str
) -> pd.DataFrame:
    source, parameters = _source(judged)
    keys = ["mlapp_id", "node_id", "outcome", "kind", "model_id"]
    named = list(keys)
    if segment is not None:
        named.append("features[%(segment)s] AS segment")
        keys.append("segment")
        parameters["segment"] = segment
    if by is not None:
        named.insert(0, f"toDateTime64({_STARTS[by]}, 3, 'UTC') AS bucket_start")
        keys.insert(0, "bucket_start")
        parameters["timezone"] = zone
    return frame(
        settings,
        f"""
        SELECT {", ".join(named)}, {_MEASURES}
        FROM (SELECT {_JUDGED} FROM {source})
        GROUP BY {", ".join(keys)} ORDER BY {", ".join(keys)}
        """,  # noqa: S608 - made of our own column names; values are parameters
        parameters,
    )


def _parts(settings: Settings, judged: Judged, by: Bucket, zone: str) -> list[Judged]:
    """The same predictions in parts of whole buckets, since the server holds all predictions of a question in memory."""
    where = _selected(judged)
    columns, _ = fetch(
        settings,
        f"""
        SELECT toDateTime64({_STARTS[by]}, 3, 'UTC') AS bucket_start, count() FROM predictions {where}
        GROUP BY bucket_start ORDER BY bucket_start
        """,  # noqa: S608 - as above
        where.parameters | {"timezone": zone},
    )
    edges: list[Time | None] = [judged.start]
    held = 0
    for bucket_start, rows in zip(*columns[:2], strict=True):
        if held and held + rows > ROWS_AT_ONCE:
            edges.append(bucket_start)
            held = 0
        held += rows
    edges.append(judged.end)
    return [replace(judged, start=start, end=end) for start, end in pairwise(edges)]


def calibration(settings: Settings, judged: Judged) -> pd.DataFrame:
    """Scores against outcomes, by tenths of the score.

    Columns: ``mlapp_id, node_id, outcome, model_id, score_from, score_to, known, expected`` (the mean score) and ``observed`` (the
    share of outcomes that are 1). Raises ``QueryError``.
    """
    source, parameters = _source(judged)
    return frame(
        settings,
        f"""
        SELECT mlapp_id, node_id, outcome, model_id, least(9, floor(value * 10)) / 10 AS score_from, (score_from * 10 + 1) / 10 AS score_to,
            count() AS known, avg(value) AS expected, avg(actual_number) AS observed
        FROM (SELECT {_JUDGED} FROM {source}) WHERE is_score
        GROUP BY mlapp_id, node_id, outcome, model_id, score_from ORDER BY mlapp_id, node_id, outcome, model_id, score_from
        """,  # noqa: S608 - as above
        parameters,
    )


def _selected(judged: Judged) -> Conditions:
    return (
        Conditions()
        .equal(mlapp_id=judged.mlapp_id, outcome=judged.outcome, model_id=judged.model_id)
        .between("event_time", judged.start, judged.end)
    )


def _source(judged: Judged) -> tuple[str, dict[str, object]]:
    where = _selected(judged)
    table = "outcomes"
    parameters: dict[str, object] = dict(where.parameters)
    if (judged.start, judged.end, judged.known_at) != (None, None, None):
        table = "outcomes_between(start = %(from)s, end = %(to)s, known_at = %(known_at)s)"
        parameters |= {
            "from": _moment(judged.start, FIRST),
            "to": _moment(judged.end, LAST),
            "known_at": _moment(judged.known_at, LAST),
        }
    matrix = {key: float(cost) for key, cost in judged.costs.items() if key not in {OVER, UNDER}}
    parameters |= {
        "threshold": float(judged.threshold),
        OVER: float(judged.costs.get(OVER, 0.0)),
        UNDER: float(judged.costs.get(UNDER, 0.0)),
        "priced_kinds": [kind for kind, priced in _priced(judged.costs).items() if priced] or [""],
        "cost_keys": list(matrix) or [""],
        "cost_values": list(matrix.values()) or [0.0],
    }
    return f"{table} {where}", parameters


def _priced(costs: Mapping[str, float]) -> dict[str, bool]:
    """Of each kind of prediction, whether one of the costs can be about it."""
    numbers = {OVER, UNDER} & costs.keys()
    scores = {"0:0", "0:1", "1:0", "1:1"} & costs.keys()
    return {"number": bool(numbers), "score": bool(scores), "class": costs.keys() > numbers}


def _moment(moment: Time | None, otherwise: str) -> str:
    try:
        at_ms, _ = range_ms(moment, None)
    except TimeError as error:
        raise QueryError(str(error)) from None
    if at_ms is None:
        return otherwise
    shown = _EPOCH + timedelta(milliseconds=at_ms)
    return shown.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def reported_quality(
    settings: Settings, agent_id: str, mlapp_id: str | None = None
) -> dict[tuple[str, str, str, str, tuple[tuple[str, str], ...], int], float]:
    """The newest value of each statistic of quality that was reported by ``agent_id``.

    By MLApp, node, model, name, labels (sorted pairs) and event time in epoch milliseconds.
    """
    where = Conditions().equal(agent_id=agent_id, mlapp_id=mlapp_id).starting("name", STATISTIC_PREFIX)
    columns, _ = fetch(
        settings,
        f"""
        SELECT mlapp_id, node_id, model_id, name, arraySort(arrayZip(mapKeys(labels), mapValues(labels))) AS found,
            toUnixTimestamp64Milli(event_time) AS at_ms, argMax(value, (ingested_at, _partition, _offset, _series, _index))
        FROM statistics {where}
        GROUP BY mlapp_id, node_id, model_id, name, found, at_ms
        """,  # noqa: S608 - as above
        where.parameters,
    )
    return {
        (mlapp, node, model, name, tuple(sorted(map(tuple, labels))), at_ms): value
        for mlapp, node, model, name, labels, at_ms, value in zip(*columns, strict=True)
    }
