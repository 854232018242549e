"""Statistics and KPIs: ``set_stat`` and its relatives. ``set_stat`` with a float is the library's hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from parallelm.mlops._outputs.output import KpiReport
from parallelm.mlops._reporting.series import Series
from parallelm.mlops._session.session import Session
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException
from parallelm.mlops.stats._values import LARGEST_EXACT_INTEGER, number, shown, string
from parallelm.mlops.stats_category import StatCategory

if TYPE_CHECKING:
    from parallelm.mlops._outputs.output import Output
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.mlops._reporting.samples import SeriesKey

_TIME_SERIES = StatCategory.TIME_SERIES
_METRICS = (ClassificationMetrics, RegressionMetrics, ClusteringMetrics)


class Reporting(Session):
    """Everything that reports a number or a statistic object."""

    def set_stat(
        self,
        name: Any,
        data: Any = None,
        category: StatCategory = _TIME_SERIES,
        timestamp: Any = None,
        **kwargs: Any,
    ) -> None:
        """Report a statistic.

        Either ``name`` (a text) and ``data`` (a number), or a statistic object as the one or the other, or a member of
        ``ClassificationMetrics``, ``RegressionMetrics`` or ``ClusteringMetrics`` and its data (with ``labels``,
        ``true_labels``, ``pred_labels``, ``legend`` where the metric wants them).

        ``category`` of a number is TIME_SERIES (every one counts) or CONFIG (the last one holds). ``timestamp`` is a
        datetime, a text in ISO 8601 (both UTC unless they name a zone) or a number of ``units`` (default: nanoseconds)
        since the epoch; without one the time is that of the ``event_time`` block, else now.

        Takes less than a microsecond for a plain number, never blocks, and raises ``MLOpsException`` only for arguments that
        are wrong. Values are kept as float64; NaN and infinities too.
        """
        queue = self._queue
        if (
            type(name) is str
            and name
            and category is _TIME_SERIES
            and timestamp is None
            and not kwargs
            and len(queue) < queue.room
        ):
            if type(data) is float:
                queue.append((name, data, queue.clock()))
                return
            if type(data) is int and -LARGEST_EXACT_INTEGER <= data <= LARGEST_EXACT_INTEGER:
                queue.append((name, float(data), queue.clock()))
                return
        self._set_stat(name, data, category, timestamp, kwargs, model_id="")

    def series(self, name: str, *, model_id: str = "", **labels: str) -> Series:
        """Handle of one series, for loops that report many numbers: ``mlops.series("loss", fold="3").set(0.2)``."""
        pairs = tuple(sorted(checked_labels(labels).items()))
        key = (_name(name), string(model_id, "a model's id"), "TIME_SERIES", "LINEGRAPH", pairs)
        return Series(key, self._queue, self._sample_now)

    def set_kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any = None,
        units: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
    ) -> Self:
        """Report one point of a business KPI; past timestamps are the point of it.

        ``timestamp`` is a number of ``units`` (``KpiValue.TIME_SEC``, ``TIME_MSEC``, ``TIME_NSEC``; default nanoseconds)
        since the epoch, also as text, a datetime, or a text in ISO 8601; none means now. The same KPI, labels and time again is a
        revision. Raises ``MLOpsException`` for wrong arguments.
        """
        self._set_kpi(name, data, timestamp, units, labels, model_id="")
        return self

    @SuppressException([MLOpsConnectionException])
    def _set_stat(
        self,
        name: Any,
        data: Any,
        category: StatCategory,
        timestamp: Any,
        kwargs: dict[str, Any],
        *,
        model_id: str,
    ) -> None:
        output = self._opened_output()
        units = kwargs.pop("units", None)
        time_ns = self._time_ns(timestamp, units)
        statistic = _statistic(name, data, kwargs)
        if statistic is None:
            if category is not StatCategory.TIME_SERIES and category is not StatCategory.CONFIG:
                raise MLOpsException(f"category must be TIME_SERIES or CONFIG, not {category!r}")
            value = number(data, f"the value of {name!r}")
            output.sample((_name(name), model_id, category.name, "LINEGRAPH", ()), value, time_ns)
            return
        from parallelm.mlops.stats.kpi_value import KpiValue

        report = statistic.report()
        if isinstance(statistic, KpiValue):
            at_ns = (
                time_ns if timestamp is not None or statistic.timestamp_ns is None else statistic.timestamp_ns
            )
            output.kpi(KpiReport(report.name, statistic.value, {}, model_id, at_ns))
        else:
            send_report(output, report, model_id, time_ns, {})

    def _sample_now(self, series: SeriesKey, value: float) -> None:
        self._opened_output().sample(series, value, self._time_ns())

    @SuppressException([MLOpsConnectionException])
    def _set_kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any,
        units: str | None,
        labels: Mapping[str, str] | None,
        *,
        model_id: str,
    ) -> None:
        output = self._opened_output()
        time_ns = self._time_ns(timestamp, units)
        value = number(data, f"the value of KPI {name!r}")
        output.kpi(KpiReport(_name(name), value, checked_labels(labels), model_id, time_ns))


def send_report(
    output: Output,
    report: NumericReport | StructuredReport,
    model_id: str,
    time_ns: int,
    histogram_labels: Mapping[str, str],
) -> None:
    """Hand a statistic's report to the output. ``histogram_labels`` tell sets of histograms apart."""
    from parallelm.mlops._reporting.payloads import NumericReport

    if isinstance(report, NumericReport):
        output.numeric(report, model_id, time_ns)
    else:
        output.structured(report, model_id, time_ns, histogram_labels if report.histograms else {})


def checked_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Labels as texts; raises ``MLOpsException`` for keys that are none."""
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise MLOpsException(f"labels must be a dict, not {type(labels).__name__}")
    return {string(key, "a label's name"): shown(value, f"label {key!r}") for key, value in labels.items()}


def _name(name: Any) -> str:
    checked = string(name, "the name of a statistic")
    if not checked:
        raise MLOpsException("the name of a statistic is empty")
    return checked


def _statistic(name: Any, data: Any, kwargs: dict[str, Any]) -> Any:
    """The statistic object that the arguments of ``set_stat`` mean; None when they mean a plain number."""
    for candidate in (name, data):
        if hasattr(candidate, "report"):
            # Only here: programs that report nothing but numbers import less.
            from parallelm.mlops.stats._statistic import Statistic

            if isinstance(candidate, Statistic):
                return candidate
    if isinstance(name, _METRICS):
        from parallelm.mlops._metrics.objects import metric_object

        return metric_object(name, data, **kwargs)
    if kwargs:
        raise MLOpsException(f"set_stat of a number does not know the argument {next(iter(kwargs))!r}")
    return None
