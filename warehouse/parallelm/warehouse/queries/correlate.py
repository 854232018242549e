"""Which statistics move with a business KPI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import Conditions, frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.correlation import Correction, Correlation

Aggregation = Literal["sum", "mean"]

_COUNT_NAME = re.compile(r"(^|[^a-z])(counts?|total|number|num)($|[^a-z])", re.IGNORECASE)
_COLUMNS = (
    "node_id",
    "statistic",
    "labels",
    "aggregation",
    "form",
    "lag",
    "r",
    "n",
    "n_effective",
    "p",
    "p_adjusted",
    "tests",
)
_MAX_BUCKETS = 200_000
_CORRECTIONS = ("holm", "fdr_bh")

# Buckets start on a Monday: weeks are then the calendar's, and days and hours are cut as everywhere.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_ORIGIN_MS = 4 * _DAY_MS


@dataclass(frozen=True, slots=True)
class _Source:
    """A table that statistics are aggregated from, and how."""

    table: str
    time: str
    aggregates: str


_DAYS = _Source(
    "statistics_by_day_state",
    "bucket_start",
    "sum(source.n) AS samples, sum(source.total) AS total, min(source.minimum) AS minimum",
)
_SAMPLES = _Source(
    "statistics",
    "event_time",
    "countIf(isFinite(value)) AS samples, sumIf(value, isFinite(value)) AS total, minIf(value, isFinite(value)) AS minimum",
)


@dataclass(frozen=True, slots=True)
class _Tested:
    node_id: str
    statistic: str
    labels: tuple[tuple[str, str], ...]
    aggregation: Aggregation
    form: str
    lag: int
    found: Correlation


def correlate(
    settings: Settings,
    kpi: str,
    *,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    kpi_aggregation: Aggregation = "mean",
    bucket: str = "1D",
    max_lag: int = 7,
    aggregations: Mapping[str, Aggregation] | None = None,
    correction: Correction = "holm",
    min_points: int = 10,
    all_lags: bool = False,
    start: Time | None = None,
    end: Time | None = None,
) -> pd.DataFrame:
    """Correlation of a KPI with every statistic, the most significant first; one row a series and form, at its best lag.

    KPI points (those that have all ``labels``) and statistics are aggregated into buckets of event time: ``bucket`` is a
    pandas time delta of whole minutes, weeks start on Monday, all in UTC. Several KPI points of a bucket are averaged
    or summed (``kpi_aggregation``). A statistic is summed when it is a count, else averaged over its samples: a count
    is one whose name says so (count, total, number, num as a word) and whose values are whole and not negative;
    ``aggregations`` (name to ``sum`` or ``mean``) overrides that.

    Each series is tested raw and differenced (bucket-to-bucket changes, which trends and seasons do not dominate), at
    ``lag`` 0 to ``max_lag`` buckets by which the statistic comes before the KPI. ``n_effective`` and ``p`` respect
    autocorrelation (see ``parallelm.warehouse.correlation``), ``p_adjusted`` also the number of ``tests``: all series,
    forms and lags, by ``correction``. Series that share fewer than ``min_points`` buckets with the KPI are left out.

    Columns: ``node_id, statistic, labels, aggregation, form, lag, r, n, n_effective, p, p_adjusted, tests``.
    Raises ``QueryError`` when the KPI does not exist, no statistic shares enough buckets with it, or an option is wrong.
    """
    _check_options(max_lag, min_points, kpi_aggregation, aggregations or {}, correction)
    width_ms = _width_ms(bucket)
    target = _kpi_series(settings, kpi, mlapp_id, labels, kpi_aggregation, width_ms, start, end)
    statistics = _statistics(settings, mlapp_id, width_ms, target.index[0], target.index[-1], max_lag)
    tested = list(_tests(target, statistics, max_lag, width_ms, min_points, aggregations or {}))
    if not tested:
        raise QueryError(
            f"no statistic shares {min_points} buckets of {bucket} with KPI {kpi!r}, which has {len(target)} of them from "
            f"{_day(target.index[0])} to {_day(target.index[-1])}: choose a shorter bucket or fewer --min-points"
        )
    return _report(tested, correction, all_lags=all_lags)


def _check_options(
    max_lag: int,
    min_points: int,
    kpi_aggregation: str,
    aggregations: Mapping[str, str],
    correction: str,
) -> None:
    for what, number in (("largest lag", max_lag), ("smallest number of points", min_points)):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _MAX_BUCKETS:
            raise QueryError(
                f"the {what} is {number!r}; it must be a whole number of buckets from 0 to {_MAX_BUCKETS}"
            )
    for what, given, known in (
        ("KPI aggregation", kpi_aggregation, get_args(Aggregation)),
        *((f"aggregation of {name!r}", given, get_args(Aggregation)) for name, given in aggregations.items()),
        ("correction", correction, _CORRECTIONS),
    ):
        if given not in known:
            raise QueryError(f"the {what} is {given!r}; there are: {', '.join(known)}")


def is_count(name: str, sums: Sequence[float], minima: Sequence[float]) -> bool:
    """Whether a statistic is to be summed: its name says that it counts, and its values can be counts."""
    return (
        _COUNT_NAME.search(name) is not None
        and all(float(value).is_integer() for value in sums)
        and all(value >= 0 for value in minima)
    )


def _tests(
    target: pd.Series[float],
    statistics: pd.DataFrame,
    max_lag: int,
    width_ms: int,
    min_points: int,
    aggregations: Mapping[str, Aggregation],
) -> Iterator[_Tested]:
    import numpy as np

    from parallelm.warehouse.correlation import correlate_pair, differenced, lagged

    if statistics.empty:
        return
    first = min(int(target.index[0]), int(statistics["bucket_ms"].min()))
    last = max(int(target.index[-1]), int(statistics["bucket_ms"].max()))
    if (last - first) // width_ms > _MAX_BUCKETS:
        raise QueryError(
            f"from {_day(first)} to {_day(last)} there are more than {_MAX_BUCKETS} buckets: choose longer ones"
        )
    grid = np.arange(first, last + width_ms, width_ms)
    kpi = _on(grid, target)
    for key, rows in statistics.groupby(["node_id", "name", "label_items"], sort=True):
        node_id, name, label_items = cast("tuple[str, str, tuple[tuple[str, str], ...]]", key)
        aggregation, values = _aggregated(name, rows, grid, aggregations)
        for form, x, y in (("raw", values, kpi), ("differenced", differenced(values), differenced(kpi))):
            for lag in range(min(max_lag, grid.size - 1) + 1):
                found = correlate_pair(lagged(x, lag), y)
                if found is not None and found.n >= min_points:
                    yield _Tested(node_id, name, label_items, aggregation, form, lag, found)


def _aggregated(
    name: str, rows: pd.DataFrame, grid: NDArray[np.int64], aggregations: Mapping[str, Aggregation]
) -> tuple[Aggregation, NDArray[np.float64]]:
    by_bucket = rows.set_index("bucket_ms")
    aggregation = aggregations.get(name)
    if aggregation is None:
        aggregation = "sum" if is_count(name, list(rows["total"]), list(rows["minimum"])) else "mean"
    chosen = by_bucket["total"] if aggregation == "sum" else by_bucket["total"] / by_bucket["samples"]
    return aggregation, _on(grid, chosen)


def _on(grid: NDArray[np.int64], series: pd.Series[float]) -> NDArray[np.float64]:
    import numpy as np

    values = np.asarray(series.reindex(grid), dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)  # a sum of huge values is infinite


def _report(tested: Sequence[_Tested], correction: Correction, *, all_lags: bool) -> pd.DataFrame:
    import pandas as pd

    from parallelm.warehouse.correlation import adjust

    adjusted = adjust([each.found.p for each in tested], correction)
    rows: list[dict[str, Any]] = [
        {
            "node_id": each.node_id,
            "statistic": each.statistic,
            "labels": dict(each.labels),
            "aggregation": each.aggregation,
            "form": each.form,
            "lag": each.lag,
            "r": each.found.r,
            "n": each.found.n,
            "n_effective": each.found.n_effective,
            "p": each.found.p,
            "p_adjusted": float(p_adjusted),
            "tests": len(tested),
        }
        for each, p_adjusted in zip(tested, adjusted, strict=True)
    ]
    rows.sort(key=lambda row: (row["p"], -abs(row["r"])))
    if not all_lags:
        best: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows:
            best.setdefault((row["node_id"], row["statistic"], str(row["labels"]), row["form"]), row)
        rows = list(best.values())
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _kpi_series(
    settings: Settings,
    kpi: str,
    mlapp_id: str | None,
    labels: Mapping[str, str] | None,
    aggregation: Aggregation,
    width_ms: int,
    start: Time | None,
    end: Time | None,
) -> pd.Series[float]:
    where = Conditions().equal(name=kpi, mlapp_id=mlapp_id).labels(labels).between("event_time", start, end)
    found = frame(
        settings,
        f"""
        SELECT {_bucket("event_time", width_ms)} AS bucket_ms,
               {"sum" if aggregation == "sum" else "avg"}If(value, isFinite(value)) AS kpi_value
        FROM kpis_current {where}
        GROUP BY bucket_ms
        HAVING countIf(isFinite(value)) > 0
        ORDER BY bucket_ms
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
    if found.empty:
        raise QueryError(_unknown_kpi(settings, kpi, mlapp_id, labels))
    return found.set_index("bucket_ms")["kpi_value"]


def _unknown_kpi(settings: Settings, kpi: str, mlapp_id: str | None, labels: Mapping[str, str] | None) -> str:
    where = Conditions().equal(mlapp_id=mlapp_id)
    query = f"SELECT DISTINCT name FROM kpis {where} ORDER BY name LIMIT 50"  # noqa: S608 - no value in it
    known = frame(settings, query, where.parameters)
    names = ", ".join(repr(name) for name in known["name"]) or "none"
    filters = f" with labels {dict(labels)}" if labels else ""
    return f"KPI {kpi!r} has no points{filters} in that time; there are these KPIs: {names}"


def _statistics(
    settings: Settings, mlapp_id: str | None, width_ms: int, first_ms: int, last_ms: int, max_lag: int
) -> pd.DataFrame:
    source = _DAYS if width_ms % _DAY_MS == 0 else _SAMPLES
    where = Conditions().equal(mlapp_id=mlapp_id)
    parameters = where.parameters | {
        "first": int(first_ms) - max_lag * width_ms,
        "last": int(last_ms) + width_ms,
    }
    found = frame(
        settings,
        f"""
        SELECT toString(node_id) AS node_id, toString(name) AS name, labels,
               {_bucket(source.time, width_ms)} AS bucket_ms, {source.aggregates}
        FROM {source.table} AS source {where}
        GROUP BY node_id, name, labels, bucket_ms
        HAVING samples > 0 AND bucket_ms >= %(first)s AND bucket_ms < %(last)s
        ORDER BY node_id, name, labels, bucket_ms
        """,  # noqa: S608 - made of our own names; values are parameters
        parameters,
    )
    found["label_items"] = [tuple(sorted(labels.items())) for labels in found["labels"]]
    return found


def _bucket(column: str, width_ms: int) -> str:
    time_ms = f"(toUnixTimestamp64Milli({column}) - {_ORIGIN_MS})"
    return f"toInt64(floor({time_ms} / {width_ms})) * {width_ms} + {_ORIGIN_MS}"


def _width_ms(bucket: str) -> int:
    import pandas as pd

    try:
        width = pd.Timedelta(bucket)
        width_ms = int(width.total_seconds() * 1000)  # raises ValueError for NaT, which an empty text makes
    except (ValueError, TypeError) as error:
        raise QueryError(f"bucket {bucket!r} is not a time delta such as 1D, 6h or 30min: {error}") from error
    if width_ms <= 0 or width_ms % 60_000:
        raise QueryError(f"bucket {bucket!r} is not a positive number of whole minutes")
    return width_ms


def _day(epoch_ms: int) -> str:
    return f"{_EPOCH + timedelta(milliseconds=int(epoch_ms)):%Y-%m-%d %H:%M}"
