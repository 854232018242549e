"""Everything of a KPI on one time axis: its points, statistics, the models that were live, and the alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._buckets import make_buckets
from parallelm.warehouse.queries._kpi_series import read_kpi
from parallelm.warehouse.queries._statistic_series import read_statistics
from parallelm.warehouse.queries.alerts import alerts
from parallelm.warehouse.queries.correlate import GOES_WITH, correlate
from parallelm.warehouse.queries.models import deployments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._buckets import Buckets
    from parallelm.warehouse.queries._kpi_series import Aggregation, KpiSeries

FOUND = 3
"""So many of the statistics that go with the KPI are chosen where none is named."""


@dataclass(frozen=True)
class Timeline:
    """What happened from ``start`` to ``end``. All times are in one time zone, those of buckets are their starts."""

    kpi: str
    mlapp_id: str
    start: pd.Timestamp
    end: pd.Timestamp
    width: pd.Timedelta
    """Of a bucket."""
    points: pd.DataFrame
    """``time, value`` of the KPI; NaN where it has no point."""
    statistics: pd.DataFrame
    """``node_id, statistic, labels, aggregation, time, value``; each series by time."""
    models: pd.DataFrame
    """``node_id, model, model_id, live_from, live_to`` of models that were live; ``model`` is the name."""
    alerts: pd.DataFrame
    """Alerts that fired, as ``alerts`` returns them."""
    notes: tuple[str, ...]
    """What was taken together, and how the statistics were chosen."""


def timeline(
    settings: Settings,
    kpi: str,
    *,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    kpi_aggregation: Aggregation | None = None,
    bucket: str = "1D",
    timezone: str | None = None,
    statistics: Sequence[str] | None = None,
    node_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
) -> Timeline:
    """Read a KPI, and what happened in the time of its points.

    The KPI and its buckets are chosen as for ``correlate``. ``statistics`` are names, of which every series is read; without
    them (None) those series are read that go with the KPI most surely, ``FOUND`` at most. ``node_id`` limits the models and
    alerts to those of a node. With ``known_at`` the KPI is as it was known at that moment. Raises ``QueryError`` as ``correlate`` does.
    """
    buckets = make_buckets(bucket, timezone)
    chosen: dict[str, Any] = {"mlapp_id": mlapp_id, "labels": labels, "start": start, "end": end}
    series = read_kpi(
        settings, kpi, buckets, timezone=timezone, aggregation=kpi_aggregation, known_at=known_at, **chosen
    )
    notes = list(series.notes)
    wanted: list[tuple[str, str, tuple[tuple[str, str], ...]]] | None = None
    if statistics is None:
        found = correlate(
            settings, kpi, kpi_aggregation=kpi_aggregation, bucket=bucket, timezone=timezone, **chosen
        ).table
        found = found[found["verdict"] == GOES_WITH].head(FOUND)
        wanted = list(_keys(found, "statistic"))
        statistics = tuple(dict.fromkeys(found["statistic"]))
        notes.append(
            "statistics: those that go with the KPI most surely"
            if len(found)
            else "no statistic is shown: none goes with the KPI, and none was named"
        )
    ends = _times(buckets, [series.first, series.first + series.points.size])
    frame, more = _statistics(settings, series, statistics, wanted)
    return Timeline(
        kpi=kpi,
        mlapp_id=series.mlapp_id,
        start=ends[0],
        end=ends[1],
        width=_width(buckets),
        points=_points(series),
        statistics=frame,
        models=_models(settings, series.mlapp_id, node_id, ends, buckets.timezone),
        alerts=_alerts(settings, series.mlapp_id, node_id, ends, buckets.timezone),
        notes=(*notes, *more),
    )


def _points(series: KpiSeries) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"time": _grid(series), "value": series.points})


def _statistics(
    settings: Settings,
    series: KpiSeries,
    names: Sequence[str],
    wanted: Sequence[tuple[str, str, tuple[tuple[str, str], ...]]] | None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Series of these names; only those that are ``wanted``, in their order, unless it is None."""
    import numpy as np
    import pandas as pd

    columns = ["node_id", "statistic", "labels", "aggregation", "time", "value"]
    if not names:
        return pd.DataFrame(columns=columns), ()
    found = read_statistics(settings, series, 0, {}, names)
    keys = list(_keys(found.names, "name"))
    rows = range(len(keys)) if wanted is None else [keys.index(each) for each in wanted if each in keys]
    table = found.names.iloc[np.repeat(np.asarray(rows, dtype=np.int64), series.points.size)]
    table = table.rename(columns={"name": "statistic"}).reset_index(drop=True)
    every = np.tile(np.arange(series.points.size), len(rows))
    table["time"] = _grid(series).take(every)
    table["value"] = found.matrix[list(rows)].ravel()
    missing = [
        f"there is no statistic {name!r} in the time of the KPI"
        for name in names
        if name not in set(found.names["name"])
    ]
    return table[columns], (*missing, *(found.notes if wanted is None else ()))


def _keys(table: pd.DataFrame, name: str) -> Any:
    labels = (tuple(sorted(each.items())) for each in table["labels"])
    return zip(table["node_id"], table[name], labels, strict=True)


def _models(
    settings: Settings, mlapp_id: str, node_id: str | None, ends: pd.DatetimeIndex, zone: str
) -> pd.DataFrame:
    found = deployments(settings, mlapp_id=mlapp_id, node_id=node_id)
    live = found["live_from"].notna() & (found["live_from"] < ends[1])
    found = found[live & (found["live_to"].isna() | (found["live_to"] > ends[0]))]
    named = found["model_name"].where(found["model_name"] != "", found["model_id"])
    return _local(found.assign(model=named), zone)[["node_id", "model", "model_id", "live_from", "live_to"]]


def _alerts(
    settings: Settings, mlapp_id: str, node_id: str | None, ends: pd.DatetimeIndex, zone: str
) -> pd.DataFrame:
    found = alerts(settings, mlapp_id=mlapp_id, node_id=node_id, end=ends[1].to_pydatetime())
    return _local(found[found["resolved_at"].isna() | (found["resolved_at"] >= ends[0])], zone)


def _local(table: pd.DataFrame, zone: str) -> pd.DataFrame:
    """The same with its times in a zone."""
    times = table.select_dtypes("datetimetz")
    return table.assign(**{str(name): times[name].dt.tz_convert(zone) for name in times}).reset_index(
        drop=True
    )


def _grid(series: KpiSeries) -> pd.DatetimeIndex:
    import numpy as np

    return _times(series.buckets, series.first + np.arange(series.points.size))


def _times(buckets: Buckets, numbers: Sequence[int] | NDArray[np.int64]) -> pd.DatetimeIndex:
    """Starts of buckets; those that the clock skips begin with the hour after, those that it shows twice with the first."""
    import numpy as np
    import pandas as pd

    local = pd.DatetimeIndex(np.array([buckets.start_ms(each) for each in numbers], dtype="datetime64[ms]"))
    return local.tz_localize(
        buckets.timezone, ambiguous=np.ones(len(local), dtype=bool), nonexistent="shift_forward"
    )


def _width(buckets: Buckets) -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(milliseconds=buckets.width_ms)
