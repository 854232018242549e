"""Every statistic of an MLApp as a regular series: aggregated in ClickHouse, a row of a matrix here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._buckets import DAY_MS
from parallelm.warehouse.queries._frames import frame
from parallelm.warehouse.queries._known_at import arrival_filters, knows_everything

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from parallelm.connections import Settings
    from parallelm.warehouse.queries._kpi_series import KpiSeries

Aggregation = Literal["sum", "mean"]

_MAX_CELLS = 60_000_000
_COUNT_NAME = re.compile(r"(^|[^a-z])(counts?|total|number|num)($|[^a-z])", re.IGNORECASE)
# The same for a row as for a series; cityHash64 takes a tenth of the time of sipHash64 over maps.
_KEY = "cityHash64(node_id, name, labels)"


@dataclass(frozen=True)
class StatisticSeries:
    """Statistics on the KPI's grid and ``max_lag`` buckets before it."""

    names: pd.DataFrame
    """``node_id, name, labels, aggregation`` of each row."""
    matrix: NDArray[np.float64]
    """A row a statistic, a column a bucket, NaN where nothing was reported."""
    notes: tuple[str, ...]


def read_statistics(
    settings: Settings,
    kpi: KpiSeries,
    max_lag: int,
    aggregations: Mapping[str, Aggregation],
    names: Sequence[str] = (),
) -> StatisticSeries:
    """Read the statistics of the KPI's MLApp, only those of ``names`` if there are any."""
    source = _Source(settings, kpi, max_lag, names)
    found = frame(settings, source.names_sql, source.parameters)
    found = found.sort_values(["node_id", "name", "labels"], key=_sortable, ignore_index=True)
    buckets = kpi.points.size + max_lag
    if len(found) * buckets > _MAX_CELLS:
        raise QueryError(
            f"{len(found)} statistics in {buckets} buckets are too many to hold at once: choose longer buckets, a shorter "
            "time (--from, --to), or some of the statistics (--statistic)"
        )
    columns = _numbers(settings, source.numbers_sql, source.parameters)
    values, aggregation = _matrix(found, columns, kpi.first - max_lag, buckets, aggregations)
    found["aggregation"] = aggregation
    return StatisticSeries(
        found[["node_id", "name", "labels", "aggregation"]], values, tuple(_notes(settings, source, found))
    )


class _Source:
    """Which rows, as SQL: days where they lie within buckets, samples otherwise."""

    def __init__(self, settings: Settings, kpi: KpiSeries, max_lag: int, names: Sequence[str]) -> None:
        self.parameters: dict[str, Any] = {
            "mlapp_id": kpi.mlapp_id,
            "first": kpi.first - max_lag,
            "last": kpi.first + kpi.points.size,
            # A day more on both sides, since local clocks differ from UTC.
            "first_ms": kpi.buckets.start_ms(kpi.first - max_lag) - DAY_MS,
            "last_ms": kpi.buckets.start_ms(kpi.first + kpi.points.size) + DAY_MS,
            "names": list(names),
        }
        if kpi.buckets.are_days_of_utc and knows_everything(settings):
            table, time, finite = "statistics_by_day_state", "bucket_start", "n > 0"
            self._measures = "sum(n) AS samples, sum(total) AS sum_value, min(minimum) < 0 AS below_zero"
        else:
            table, time, finite = "statistics", "event_time", "isFinite(value)"
            self._measures = "count() AS samples, sum(value) AS sum_value, min(value) < 0 AS below_zero"
        self._bucket = kpi.buckets.sql(time)
        self._from = f"""
            FROM {table}
            WHERE mlapp_id = %(mlapp_id)s AND {finite}
              AND {time} >= fromUnixTimestamp64Milli(toInt64(%(first_ms)s), 'UTC')
              AND {time} < fromUnixTimestamp64Milli(toInt64(%(last_ms)s), 'UTC')
              {"AND name IN %(names)s" if names else ""}
        """
        self._columns = "n, total, minimum" if table != "statistics" else "value"

    @property
    def names_sql(self) -> str:
        """A row a series."""
        return f"""
        SELECT {_KEY} AS key, toString(node_id) AS node_id, toString(name) AS name, labels, agents, models
        FROM (SELECT node_id, name, labels, min(agent_id) != max(agent_id) AS agents,
                     min(model_id) != max(model_id) AS models {self._from}
              GROUP BY node_id, name, labels)
        """  # noqa: S608 - made of our own names; values are parameters

    @property
    def most_sql(self) -> str:
        """The most hosts and models that one series has."""
        return f"""
        SELECT max(agents) AS agents, max(models) AS models
        FROM (SELECT uniqExact(agent_id) AS agents, uniqExact(model_id) AS models {self._from}
              GROUP BY node_id, name, labels)
        """  # noqa: S608 - made of our own names; values are parameters

    @property
    def numbers_sql(self) -> str:
        """A row a series and bucket, numbers only."""
        return f"""
        SELECT key, toInt32(bucket), toUInt32(samples), toFloat64(sum_value), toUInt8(below_zero)
        FROM (SELECT key, bucket, {self._measures}
              FROM (SELECT {_KEY} AS key, {self._bucket} AS bucket, {self._columns} {self._from})
              WHERE bucket >= %(first)s AND bucket < %(last)s
              GROUP BY key, bucket)
        """  # noqa: S608 - made of our own names; values are parameters


def _numbers(settings: Settings, query: str, parameters: Mapping[str, Any]) -> list[NDArray[Any]]:
    """Columns of numbers as arrays: a million rows without a Python object for each."""
    import numpy as np

    options = {"use_numpy": True, **arrival_filters(settings)}
    client = clickhouse_client(settings.clickhouse, settings=options)
    try:
        columns = client.execute(query, parameters, columnar=True)
    finally:
        client.disconnect()
    types = (np.uint64, np.int64, np.float64, np.float64, np.bool_)
    given = columns or [()] * len(types)
    return [np.asarray(values, dtype=kind) for values, kind in zip(given, types, strict=True)]


def _matrix(
    found: pd.DataFrame,
    columns: Sequence[NDArray[Any]],
    first: int,
    buckets: int,
    aggregations: Mapping[str, Aggregation],
) -> tuple[NDArray[np.float64], list[Aggregation]]:
    import numpy as np
    import pandas as pd

    key, bucket, samples, total, below_zero = columns
    row = pd.Index(np.asarray(found["key"], dtype=np.uint64)).get_indexer(pd.Index(key))
    # A statistic that came between the two queries is not there yet.
    known = row >= 0
    if not known.all():
        row, bucket, samples, total, below_zero = (
            each[known] for each in (row, bucket, samples, total, below_zero)
        )
    with np.errstate(invalid="ignore"):
        not_a_count = (total % 1.0 != 0.0) | below_zero
    uncountable = np.bincount(row, weights=not_a_count, minlength=len(found)) > 0
    chosen = [
        aggregations.get(name) or ("sum" if names_a_count(name) and not wrong else "mean")
        for name, wrong in zip(found["name"], uncountable, strict=True)
    ]
    summed = np.array([each == "sum" for each in chosen], dtype=bool)
    values = np.full((len(found), buckets), np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        each = np.where(summed[row], total, total / samples) if row.size else total
    # A sum of huge values is infinite.
    values[row, bucket - first] = np.where(np.isfinite(each), each, np.nan)
    return values, chosen


def names_a_count(name: str) -> bool:
    """Whether a name says that a statistic counts: count, total, number or num as a word."""
    return _COUNT_NAME.search(name) is not None


def _sortable(column: pd.Series[Any]) -> pd.Series[Any]:
    return column.map(lambda value: tuple(sorted(value.items()))) if column.name == "labels" else column


def _notes(settings: Settings, source: _Source, found: pd.DataFrame) -> list[str]:
    """What was taken together."""
    if not (found["agents"].any() or found["models"].any()):
        return []
    [most] = frame(settings, source.most_sql, source.parameters).to_dict("records")
    return [
        f"{int(found[column].sum())} of {len(found)} statistics were reported by or for several {word}, up to "
        f"{int(most[column])}: their samples are taken together"
        for column, word in (("agents", "hosts"), ("models", "models"))
        if found[column].any()
    ]
