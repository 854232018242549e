"""Output of mode rest_accumulator: the newest value of each statistic, for a REST server to return."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from parallelm.mlops._outputs.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.mlops._models.outbox import ModelToPublish
    from parallelm.mlops._outputs.output import ActualsReport, EventReport, KpiReport, PredictionsReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.schemas.series_key import SeriesKey


class AccumulatorOutput(Output):
    """Stores numbers as numbers, multi-line graphs as ``{line: value}``, structured statistics as their JSON or text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, Any] = {}

    def stats_map(self) -> dict[str, Any]:
        """A copy of the newest value of each statistic, by name."""
        with self._lock:
            return dict(self._newest)

    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:  # noqa: ARG002 - the newest counts
        """Store the number."""
        self._store(series.name, value)

    def numeric(self, report: NumericReport, model_id: str, time_ns: int) -> None:  # noqa: ARG002 - as sample
        """Store the number, or the lines."""
        lines = dict(report.samples)
        self._store(report.name, lines[""] if set(lines) == {""} else lines)

    def structured(
        self,
        report: StructuredReport,
        model_id: str,  # noqa: ARG002 - as sample
        time_ns: int,  # noqa: ARG002 - as sample
        labels: Mapping[str, str],  # noqa: ARG002 - as sample
    ) -> None:
        """Store the payload: JSON decoded, a page as text, other bytes unchanged."""
        value: Any = report.payload
        if report.content_type == "application/json":
            value = json.loads(value)
        elif report.content_type.startswith("text/"):
            value = value.decode(errors="replace")
        self._store(report.name, value)

    def event(self, event: EventReport) -> None:
        """Events are not statistics."""

    def kpi(self, point: KpiReport) -> None:
        """Store the number."""
        self._store(point.name, point.value)

    def predictions(self, report: PredictionsReport) -> None:
        """Predictions are not statistics."""

    def actuals(self, report: ActualsReport) -> None:
        """Outcomes are not statistics."""

    def publish(self, model: ModelToPublish) -> None:
        """Models are not statistics."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _store(self, name: str, value: Any) -> None:
        with self._lock:
            self._newest[name] = value
