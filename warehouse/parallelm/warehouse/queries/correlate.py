"""Which statistics move with a business KPI."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._buckets import make_buckets
from parallelm.warehouse.queries._kpi_series import MAX_BUCKETS, Aggregation, read_kpi
from parallelm.warehouse.queries._statistic_series import read_statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.correlation import Correction, Weighed
    from parallelm.warehouse.queries._kpi_series import KpiSeries
    from parallelm.warehouse.queries._statistic_series import StatisticSeries

COLUMNS = (
    "node_id",
    "statistic",
    "labels",
    "aggregation",
    "lag",
    "r",
    "n",
    "n_effective",
    "p",
    "p_adjusted",
    "deviation",
    "effect",
    "effect_low",
    "effect_high",
    "verdict",
    "in_words",
)
GOES_WITH = "goes with it"
NO_SIGN = "no sign of it"
TOO_SHORT = "too short to tell"

_LEVEL = 0.05
_CORRECTIONS = ("holm", "fdr_bh")
KEPT = ("season", "trend")


@dataclass(frozen=True)
class Correlations:
    """Statistics beside a KPI, and what the reader must know about them."""

    table: pd.DataFrame
    """A row a statistic, at its best lag; the surest first, those that are too short to tell last."""
    removed: tuple[str, ...]
    """What was removed from all series before they were compared."""
    tests: int
    """Statistics times lags that were tested: ``p_adjusted`` accounts for so many."""
    notes: tuple[str, ...]
    """What was taken together, left out, or cannot be told, in plain words."""


def correlate(
    settings: Settings,
    kpi: str,
    *,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    kpi_aggregation: Aggregation | None = None,
    bucket: str = "1D",
    timezone: str | None = None,
    max_lag: int = 7,
    statistics: Sequence[str] = (),
    aggregations: Mapping[str, Aggregation] | None = None,
    holidays: Sequence[date | str] = (),
    keep: Sequence[str] = (),
    correction: Correction = "holm",
    all_lags: bool = False,
    start: Time | None = None,
    end: Time | None = None,
) -> Correlations:
    """Compare a KPI with every statistic of its MLApp, once season and trend are removed from both.

    **Series.** KPI points (those that have all ``labels``) and statistics are aggregated into buckets of event time, cut by
    the clock of ``timezone`` (default UTC): ``bucket`` is a pandas time delta of whole minutes, weeks start on Monday. When
    the KPI has points in several MLApps, say which; when several of its label sets are left, choose by ``labels`` or say
    by ``kpi_aggregation`` whether to average or sum them. A statistic is summed when its name says that it counts (count,
    total, number, num as a word) and its values are whole and not negative, else averaged over its samples;
    ``aggregations`` (name to ``sum`` or ``mean``) overrides that. ``statistics`` limits them to some names.

    **Season and trend.** Hour of day and day of week are removed where width and number of buckets allow, the days in
    ``holidays`` too, and the trend with all slow movements. ``keep`` may hold ``"season"`` or ``"trend"``.

    **Tests.** Each statistic is tested at ``lag`` 0 to ``max_lag`` buckets by which it comes before the KPI. p-values
    respect autocorrelation (see ``parallelm.warehouse.correlation``); ``p_adjusted`` also the number of tests, by
    ``correction``. Where the two have fewer than 10 effective points, ``verdict`` says that they are too short to tell.

    **Columns** of the table: ``node_id, statistic, labels, aggregation, lag, r, n, n_effective, p, p_adjusted, deviation,
    effect, effect_low, effect_high, verdict, in_words``. A rise of the statistic by one ``deviation`` goes with ``effect``
    of the KPI; ``effect_low`` to ``effect_high`` is the 95 % interval of that row alone.

    Raises ``QueryError`` when the KPI does not exist, when it is not clear which one is meant, or an option is wrong.
    """
    _check_options(max_lag, kpi_aggregation, aggregations or {}, correction, keep)
    buckets = make_buckets(bucket, timezone)
    days = _checked_holidays(holidays)
    series = read_kpi(
        settings,
        kpi,
        buckets,
        timezone=timezone,
        mlapp_id=mlapp_id,
        labels=labels,
        aggregation=kpi_aggregation,
        start=start,
        end=end,
    )
    lags = min(max_lag, MAX_BUCKETS - series.points.size, 10 * series.points.size)
    found = read_statistics(settings, series, lags, aggregations or {}, statistics)

    from parallelm.warehouse.correlation import weigh

    calendar = buckets.calendar(series.first, series.points.size, days)
    weighed = weigh(
        series.points, found.matrix, calendar, season="season" not in keep, trend="trend" not in keep
    )
    table, tests = _table(series, found, weighed, correction, all_lags=all_lags)
    notes = (*series.notes, *found.notes, *_notes(series, found, weighed, table))
    return Correlations(table, weighed.removed, tests, notes)


def _check_options(
    max_lag: int,
    kpi_aggregation: str | None,
    aggregations: Mapping[str, str],
    correction: str,
    keep: Sequence[str],
) -> None:
    if isinstance(max_lag, bool) or not isinstance(max_lag, int) or not 0 <= max_lag <= MAX_BUCKETS:
        raise QueryError(
            f"the largest lag is {max_lag!r}; it must be a whole number of buckets from 0 to {MAX_BUCKETS}"
        )
    known = get_args(Aggregation)
    for what, given, choices in (
        *((("KPI aggregation", kpi_aggregation, known),) if kpi_aggregation is not None else ()),
        *((f"aggregation of {name!r}", each, known) for name, each in aggregations.items()),
        ("correction", correction, _CORRECTIONS),
        *(("part to keep", each, KEPT) for each in keep),
    ):
        if given not in choices:
            raise QueryError(f"the {what} is {given!r}; there are: {', '.join(choices)}")


def _checked_holidays(holidays: Sequence[date | str]) -> frozenset[date]:
    from parallelm.warehouse.correlation.calendar import holidays_of

    try:
        return holidays_of(holidays)
    except ValueError as error:
        raise QueryError(f"a holiday is not a date such as 2026-12-25: {error}") from error


def _table(
    kpi: KpiSeries, found: StatisticSeries, weighed: Weighed, correction: Correction, *, all_lags: bool
) -> tuple[pd.DataFrame, int]:
    import numpy as np
    import pandas as pd

    from parallelm.warehouse.correlation import adjust

    weights = weighed.weights
    adjusted = adjust(weights.p, correction)
    row, lag = _shown(weighed, all_lags=all_lags)
    table = found.names.iloc[row].rename(columns={"name": "statistic"}).reset_index(drop=True)
    table["lag"] = lag
    for name in ("r", "n", "n_effective", "p"):
        table[name] = getattr(weights, name)[row, lag]
    table["p_adjusted"] = adjusted[row, lag]
    table["deviation"] = weighed.deviation[row]
    for name, values in (
        ("effect", weights.effect),
        ("effect_low", weights.low),
        ("effect_high", weights.high),
    ):
        table[name] = np.where(np.isfinite(table["p"]), values[row, lag], np.nan)
    table["r"] = table["r"].where(table["p"].notna())
    table["verdict"] = np.select(
        [table["p"].isna(), table["p_adjusted"] <= _LEVEL], [TOO_SHORT, GOES_WITH], NO_SIGN
    ).astype(object)
    table["in_words"] = (
        [_in_words(each, kpi) for each in table.to_dict("records")] if len(table) else pd.Series(dtype=object)
    )
    table = table.assign(size=-table["r"].abs()).sort_values(["p", "size"], kind="stable", na_position="last")
    return table[list(COLUMNS)].reset_index(drop=True), int(np.isfinite(weights.p).sum())


def _shown(weighed: Weighed, *, all_lags: bool) -> tuple[Any, Any]:
    """Rows and lags of the table: every lag, or the best of each statistic that varies and meets the KPI at all."""
    import numpy as np

    weights, usable = weighed.weights, _usable(weighed)
    if all_lags:
        rows, lags = np.nonzero(usable)
        return rows, lags
    rows = np.flatnonzero(usable.any(axis=1))
    ranked = np.where(np.isfinite(weights.p), weights.p, np.where(usable, 2.0, 3.0))[rows]
    return rows, ranked.argmin(axis=1)


def _usable(weighed: Weighed) -> NDArray[np.bool_]:
    """Where a statistic varies and meets the KPI."""
    import numpy as np

    weights = weighed.weights
    usable: NDArray[np.bool_] = np.isfinite(weights.r) & (weights.n > 0)
    return usable


def _in_words(row: Mapping[str, Any], kpi: KpiSeries) -> str:
    if row["verdict"] != GOES_WITH:
        return ""
    labels = ", ".join(f"{key}={value}" for key, value in sorted(row["labels"].items()))
    named = (f" ({labels})" if labels else "") + (f" on {row['node_id']}" if row["node_id"] else "")
    return (
        f"a rise of {row['statistic']!r}{named} by one deviation ({row['deviation']:.3g}) goes with {row['effect']:+.3g} of the KPI "
        f"({row['effect_low']:.3g} … {row['effect_high']:.3g}), {kpi.buckets.later(int(row['lag']))}"
    )


def _sparse(kpi: KpiSeries) -> list[str]:
    """Whether the KPI has a point in few of the buckets: those of longer ones would be compared as a whole."""
    import numpy as np

    gaps = np.diff(np.flatnonzero(np.isfinite(kpi.points)))
    if not gaps.size or (gap := int(np.median(gaps))) == 1:
        return []
    buckets = kpi.buckets
    here = f"the KPI has a value in one of {gap} {buckets.words} only, and is compared with the statistics of those"
    return [f"{here}; with --bucket {buckets.wider(gap)} it is compared with all"]


def _notes(kpi: KpiSeries, found: StatisticSeries, weighed: Weighed, table: pd.DataFrame) -> list[str]:
    from parallelm.warehouse.correlation import ENOUGH

    notes = _sparse(kpi)
    if not len(found.names):
        notes.append(f"MLApp {kpi.mlapp_id!r} has no statistics in the time of the KPI")
    elif weighed.problem == "too few values":
        notes.append(
            f"too short to tell: the KPI has {weighed.kpi_points} {kpi.buckets.words} with a value, "
            "too few to remove season and trend and compare what is left"
        )
    elif weighed.problem == "no variation":
        notes.append(
            "nothing can be told: the KPI does not vary beside season and trend, but for single values that are far off"
        )
    else:
        shown = int(_usable(weighed).any(axis=1).sum())
        if shown < len(found.names):
            notes.append(
                f"{len(found.names) - shown} of {len(found.names)} statistics are left out: they do not vary beside what is "
                "removed, or have no value in the time of the KPI"
            )
    notes += [
        f"a shift of the level, at {time}, is one event, which proves no correlation: compare the KPI before and after with "
        f"`mcenter impact {shlex.quote(kpi.name)} --at {kpi.buckets.moment(time)}`"
        for time in weighed.shifts
    ]
    short = int((table["verdict"] == TOO_SHORT).sum())
    if short and weighed.problem is None:
        notes.append(
            f"too short to tell: {short} of {len(table)} rows are worth fewer than {ENOUGH:.0f} independent points; "
            "a longer time or, where values change quickly, shorter buckets would help"
        )
    return notes
