"""One number."""

from __future__ import annotations

from typing import Final, Self

from parallelm.mlops._reporting.payloads import NumericReport
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import is_text, quoted
from parallelm.mlops.stats._statistic import Statistic
from parallelm.mlops.stats._values import number, string
from parallelm.mlops.stats_category import StatGraphType, StatsMode

_MODES: Final = {str(mode): mode for mode in StatsMode}


class SingleValue(Statistic):
    """One number, drawn as a line over time.

    >>> SingleValue().name("rows").value(1200).report().text
    "{'rows': 1200}"
    """

    def __init__(self) -> None:
        super().__init__()
        self._value: int | float | None = None
        self._mode = StatsMode.TimeSeries

    def value(self, value: float) -> Self:
        """Set the number: int, float, bool or a numpy scalar."""
        self._value = number(value, "the value")
        return self

    def mode(self, mode: StatsMode | str) -> Self:
        """Set whether every report counts (TimeSeries) or only the last (Instant), as a member or its value."""
        known = _MODES.get(string(mode, "mode")) if is_text(mode) else None
        if known is None:
            raise MLOpsException(f"mode must be one of {', '.join(StatsMode)}, not {quoted(mode)}")
        self._mode = known
        return self

    def report(self) -> NumericReport:
        """The number as one sample."""
        if self._value is None:
            raise MLOpsException(f"{self._name!r} has no value: call value() first")
        return NumericReport(
            name=self._name,
            graph_type=str(StatGraphType.LINEGRAPH),
            category="TIME_SERIES" if self._mode is StatsMode.TimeSeries else "CONFIG",
            samples=(("", float(self._value)),),
            text=repr({self._name: self._value}),
        )
