"""One KPI as a regular series: which of its MLApps and label sets is meant, and its value in each bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._buckets import DAY_MS, Buckets
from parallelm.warehouse.queries._frames import Conditions, frame
from parallelm.warehouse.queries._kpi_clock import clock_notes
from parallelm.warehouse.queries.kpis import as_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time

Aggregation = Literal["sum", "mean"]

MAX_BUCKETS = 200_000
_SHOWN = 5


@dataclass(frozen=True)
class KpiSeries:
    """Values on a regular grid, NaN where there are none."""

    name: str
    mlapp_id: str
    buckets: Buckets
    first: int
    """Number of the first bucket."""
    points: NDArray[np.float64]
    first_ms: int
    last_ms: int
    """Times of the first and the last point."""
    notes: tuple[str, ...]


def read_kpi(
    settings: Settings,
    name: str,
    buckets: Buckets,
    *,
    timezone: str | None,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    aggregation: Aggregation | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> KpiSeries:
    """Read a KPI, as it was known at a moment or is now; raises ``QueryError`` when there is none, or when it is not said which of several is meant."""
    where = Conditions().equal(name=name, mlapp_id=mlapp_id).labels(labels).between("event_time", start, end)
    source, known = as_known(known_at)
    where.parameters |= known
    found = frame(
        settings,
        f"""
        SELECT mlapp_id, labels, toInt64(count()) AS points, toInt64(min(toUnixTimestamp64Milli(event_time))) AS first_ms,
               toInt64(max(toUnixTimestamp64Milli(event_time))) AS last_ms,
               arraySort(groupUniqArray(3)(toInt64(positiveModulo(toUnixTimestamp64Milli(event_time), {DAY_MS})))) AS times
        FROM {source} {where} {"AND" if str(where) else "WHERE"} isFinite(value)
        GROUP BY mlapp_id, labels
        ORDER BY mlapp_id, labels
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
    if found.empty:
        raise QueryError(_unknown(settings, name, mlapp_id, labels))
    _ask_which(name, found, aggregation)
    times = {each for times in found["times"] for each in times}
    clock = clock_notes(settings, name, (source, where), times, buckets, timezone)
    notes = [*_combined(found, aggregation), *clock]
    first_ms, last_ms = int(found["first_ms"].min()), int(found["last_ms"].max())
    first, values, most = _values(settings, source, where, buckets, aggregation)
    if most > len(found):
        how = "summed" if aggregation == "sum" else "averaged"
        notes.append(f"up to {most} points of the KPI in one {buckets.word} are {how}")
    return KpiSeries(
        name, str(found["mlapp_id"].iloc[0]), buckets, first, values, first_ms, last_ms, tuple(notes)
    )


def _values(
    settings: Settings, source: str, where: Conditions, buckets: Buckets, aggregation: Aggregation | None
) -> tuple[int, NDArray[np.float64], int]:
    import numpy as np

    rows = frame(
        settings,
        f"""
        SELECT {buckets.sql("event_time")} AS bucket,
               {"sum" if aggregation == "sum" else "avg"}If(value, isFinite(value)) AS kpi_value, count() AS points
        FROM {source} {where}
        GROUP BY bucket
        HAVING countIf(isFinite(value)) > 0
        ORDER BY bucket
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
    numbers = rows["bucket"].to_numpy()
    first, last = int(numbers[0]), int(numbers[-1])
    if last - first >= MAX_BUCKETS:
        raise QueryError(
            f"from {buckets.day(first)} to {buckets.day(last)} there are more than {MAX_BUCKETS} buckets: choose longer ones"
        )
    values = np.full(last - first + 1, np.nan)
    values[numbers - first] = rows["kpi_value"].to_numpy()
    return first, np.where(np.isfinite(values), values, np.nan), int(rows["points"].max())


def _ask_which(name: str, found: pd.DataFrame, aggregation: Aggregation | None) -> None:
    mlapps = sorted(set(found["mlapp_id"]))
    if len(mlapps) > 1:
        raise QueryError(
            f"KPI {name!r} has points in {len(mlapps)} MLApps: {_listed(mlapps)}; choose one with --mlapp (mlapp_id)"
        )
    if len(found) > 1 and aggregation is None:
        raise QueryError(
            f"KPI {name!r} has {len(found)} series by its labels: {_listed(list(map(_label_text, found['labels'])))}; "
            "choose one with --label (labels), or take them together with --kpi-mean or --kpi-sum (kpi_aggregation)"
        )


def _combined(found: pd.DataFrame, aggregation: Aggregation | None) -> list[str]:
    if len(found) == 1:
        return []
    how = "sum" if aggregation == "sum" else "mean"
    return [
        f"the KPI is the {how} of {len(found)} series: {_listed(list(map(_label_text, found['labels'])))}"
    ]


def _unknown(settings: Settings, kpi: str, mlapp_id: str | None, labels: Mapping[str, str] | None) -> str:
    where = Conditions().equal(mlapp_id=mlapp_id)
    query = f"SELECT DISTINCT name FROM kpis_current {where} ORDER BY name LIMIT 50"  # noqa: S608 - no value in it
    known = frame(settings, query, where.parameters)
    names = ", ".join(repr(name) for name in known["name"]) or "none"
    filters = f" with labels {dict(labels)}" if labels else ""
    said = f"KPI {kpi!r} has no points{filters} in that time"
    return said if kpi in set(known["name"]) else f"{said}; there are these KPIs: {names}"


def _label_text(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no labels"


def _listed(names: Sequence[str]) -> str:
    shown = "; ".join(names[:_SHOWN])
    return f"{shown}; …" if len(names) > _SHOWN else shown
