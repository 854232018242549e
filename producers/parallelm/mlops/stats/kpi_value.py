"""One value of a business KPI, often of a time long past."""

from __future__ import annotations

from typing import Any, Final

from parallelm.mlops._reporting.payloads import NumericReport
from parallelm.mlops._session.event_time import check_units, parse_time_ns
from parallelm.mlops.stats._statistic import Statistic
from parallelm.mlops.stats._values import number
from parallelm.mlops.stats_category import StatGraphType


class KpiValue(Statistic):
    """One value of a KPI.

    ``timestamp`` is a datetime, a date, a text in ISO 8601, or a number of ``units`` (default: nanoseconds) since the
    epoch; a number that is probably in other units is refused.
    ``value`` is the given number, ``timestamp_ns`` its time in nanoseconds or None.
    """

    TIME_SEC: Final = "second"
    TIME_MSEC: Final = "millisecond"
    TIME_USEC: Final = "microsecond"
    TIME_NSEC: Final = "nanosecond"

    def __init__(self, name: str, value: float, timestamp: Any = None, units: str | None = None) -> None:
        super().__init__()
        self.name(name)
        self.value = number(value, f"the value of KPI {self._name!r}")
        check_units(units)
        self.timestamp_ns = None if timestamp is None else parse_time_ns(timestamp, units)

    def report(self) -> NumericReport:
        """The value as one sample."""
        return NumericReport(
            name=self._name,
            graph_type=str(StatGraphType.LINEGRAPH),
            category="TIME_SERIES",
            samples=(("", float(self.value)),),
            text=repr({self._name: self.value}),
        )
