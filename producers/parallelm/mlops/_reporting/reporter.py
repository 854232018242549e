"""Statistics and KPIs: ``set_stat`` and similar calls check them and pass them to the output.

The façade queues plain numbers itself, without calling this module: that is the library's hot path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from parallelm.mlops._outputs.output import KpiReport
from parallelm.mlops._reporting.series import Series
from parallelm.mlops._session.event_time import check_units, now_ns, parse_time_ns
from parallelm.mlops._session.part import Part
from parallelm.mlops.metrics_constants import ClassificationMetrics, ClusteringMetrics, RegressionMetrics
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException
from parallelm.mlops.stats._callers_values import distinct, quoted, refusing, type_name
from parallelm.mlops.stats._values import number, shown, string
from parallelm.mlops.stats_category import StatCategory
from parallelm.schemas.series_key import SeriesKey

if TYPE_CHECKING:
    from parallelm.mlops._outputs.output import Output
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.mlops._reporting.samples import SampleQueue
    from parallelm.mlops._session.session import Session

_METRICS = (ClassificationMetrics, RegressionMetrics, ClusteringMetrics)


@refusing
class Reporter(Part):
    """The calls that report a number or a statistic object; with ``model_id``, about that model."""

    facade_name = "_reporter"

    def __init__(self, session: Session, queue: SampleQueue) -> None:
        self._session = session
        self._queue = queue

    @SuppressException([MLOpsConnectionException])
    def stat(
        self,
        name: Any,
        data: Any,
        category: StatCategory,
        timestamp: Any,
        options: dict[str, Any],
        model_id: str = "",
    ) -> None:
        """``set_stat`` for everything that the façade does not queue itself."""
        output = self._session.output()
        if output is None:
            return
        units = options.pop("units", None)
        time_ns = report_time_ns(timestamp, units)
        statistic = _statistic(name, data, options)
        if statistic is None:
            if category is not StatCategory.TIME_SERIES and category is not StatCategory.CONFIG:
                raise MLOpsException(f"category must be TIME_SERIES or CONFIG, not {quoted(category)}")
            value = number(data, f"the value of {quoted(name)}")
            output.sample(SeriesKey(_name(name), model_id, category.name), value, time_ns)
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

    @SuppressException([MLOpsConnectionException])
    def kpi(
        self,
        name: str,
        data: Any,
        timestamp: Any,
        units: str | None,
        labels: Mapping[str, str] | None,
        model_id: str = "",
    ) -> None:
        """``set_kpi``."""
        output = self._session.output()
        if output is None:
            return
        time_ns = report_time_ns(timestamp, units)
        value = number(data, f"the value of KPI {quoted(name)}")
        output.kpi(KpiReport(_name(name), value, checked_labels(labels), model_id, time_ns))

    def series(self, name: str, model_id: str, labels: Mapping[str, str]) -> Series:
        """Handle of one series of numbers."""
        pairs = tuple(sorted(checked_labels(labels).items()))
        key = SeriesKey(_name(name), string(model_id, "a model's id"), labels=pairs)
        return self.series_of(key)

    def series_of(self, key: SeriesKey) -> Series:
        """Handle of the series with this key."""
        return Series(key, self, self._queue)

    def sample(self, series: SeriesKey, value: float) -> None:
        """Report one number of a series now; ``Series.set`` calls this when it cannot queue the number itself."""
        output = self._session.output()
        if output is not None:
            output.sample(series, value, report_time_ns())


def report_time_ns(timestamp: Any = None, units: str | None = None) -> int:
    """Event time of a report: its own ``timestamp``, else that of the ``event_time`` block, else now."""
    if timestamp is None:
        check_units(units)
        return now_ns()
    return parse_time_ns(timestamp, units)


def send_report(
    output: Output,
    report: NumericReport | StructuredReport,
    model_id: str,
    time_ns: int,
    histogram_labels: Mapping[str, str],
) -> None:
    """Pass a statistic's report to the output. ``histogram_labels`` distinguish sets of histograms."""
    from parallelm.mlops._reporting.payloads import NumericReport

    if isinstance(report, NumericReport):
        output.numeric(report, model_id, time_ns)
    else:
        output.structured(report, model_id, time_ns, histogram_labels if report.histograms else {})


def checked_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Labels as texts; raises ``MLOpsException`` for keys that are not texts."""
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise MLOpsException(f"labels must be a dict, not {type_name(labels)}")
    given = [(string(key, "a label's name"), value) for key, value in labels.items()]
    distinct((name for name, _ in given), "the label")
    return {name: shown(value, f"label {name!r}") for name, value in given}


def _name(name: Any) -> str:
    checked = string(name, "the name of a statistic")
    if not checked:
        raise MLOpsException("the name of a statistic is empty")
    return checked


def _statistic(name: Any, data: Any, kwargs: dict[str, Any]) -> Any:
    """The statistic object that the arguments of ``set_stat`` name; None for a plain number."""
    for candidate in (name, data):
        if hasattr(candidate, "report"):
            # Imported here, so that programs that report only numbers import less.
            from parallelm.mlops.stats._statistic import Statistic

            if isinstance(candidate, Statistic):
                return candidate
    if isinstance(name, _METRICS):
        from parallelm.mlops._metrics.objects import metric_object

        return metric_object(name, data, **kwargs)
    if kwargs:
        raise MLOpsException(f"set_stat of a number takes no argument {next(iter(kwargs))!r}")
    return None
