"""For tests of components: captures everything that they report, as typed objects, without a broker.

>>> from parallelm.mlops import mlops
>>> from parallelm.mlops.testing import capture
>>> with capture() as reported:
...     mlops.set_stat("rows", 1200)
>>> reported.values("rows")
[1200.0]
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.mlops import mlops
from parallelm.mlops._delivery.encoding.topic_records import (
    actuals_record,
    event_record,
    kpi_point,
    model_announcement,
    predictions_record,
    series_of,
    structured_statistic,
)
from parallelm.mlops._models.outbox import Outbox
from parallelm.mlops._outputs.output import Output
from parallelm.mlops._session.environment import read_environment
from parallelm.mlops._session.opened import ModelsInUse, Opened
from parallelm.mlops.mlops_mode import MLOpsMode
from parallelm.schemas import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.mlops._delivery.encoding.topic_records import MakeRecord
    from parallelm.mlops._models.outbox import ModelToPublish
    from parallelm.mlops._outputs.output import ActualsReport, EventReport, KpiReport, PredictionsReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.mlops._session.environment import ComponentEnvironment
    from parallelm.mlops._session.opened import Opening
    from parallelm.schemas.series_key import SeriesKey

_PRODUCER_ID = "captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of one series."""

    name: str
    value: float
    time_ms: int
    """Event time, epoch milliseconds UTC."""
    labels: Mapping[str, str]
    model_id: str
    category: str
    graph_type: str


@dataclass(slots=True)
class Captured:
    """What was reported, each list in order."""

    samples: list[Sample] = field(default_factory=list)
    structured: list[records.StructuredStatistic] = field(default_factory=list)
    events: list[records.Event] = field(default_factory=list)
    kpis: list[records.KpiPoint] = field(default_factory=list)
    predictions: list[records.Predictions] = field(default_factory=list)
    actuals: list[records.Actuals] = field(default_factory=list)
    models: list[records.ModelAnnouncement] = field(default_factory=list)
    """Announcements; their artifact_url is empty, since nothing is uploaded."""

    def values(self, name: str, **labels: str) -> list[float]:
        """Values of a statistic, of the series that have these labels (and any others)."""
        return [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= dict(sample.labels).items()
        ]


@contextmanager
def capture() -> Iterator[Captured]:
    """Capture what ``mlops`` reports in the block, in all threads; nothing is printed or sent.

    The library is open in the block, whether or not the component calls ``init()``, in any mode; its ``done()`` closes
    the library as usual. Queries are answered as in stand-alone mode. The previous session is restored afterwards.
    """
    captured = Captured()
    environment = read_environment(connected=False)
    output = _CaptureOutput(captured, environment)

    def opener(opening: Opening) -> Opened:
        return Opened(output, MLOpsMode.STAND_ALONE, environment, ModelsInUse(), opening.event_time_ns)

    with mlops._session.opened_by(opener):  # noqa: SLF001 - where outputs are injected
        yield captured


class _CaptureOutput(Output):
    def __init__(self, captured: Captured, environment: ComponentEnvironment) -> None:
        self._captured = captured
        self._environment = environment
        self._lock = threading.Lock()
        self._seq = 0

    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:
        self._captured.samples.append(
            Sample(
                name=series.name,
                value=float(value),
                time_ms=time_ns // 1_000_000,
                labels=dict(series.labels),
                model_id=series.model_id,
                category=series.category,
                graph_type=series.graph_type,
            )
        )

    def numeric(self, report: NumericReport, model_id: str, time_ns: int) -> None:
        for series, value in series_of(report, model_id):
            self.sample(series, value, time_ns)

    def structured(
        self, report: StructuredReport, model_id: str, time_ns: int, labels: Mapping[str, str]
    ) -> None:
        self._captured.structured.append(self._made(structured_statistic(report, model_id, time_ns, labels)))

    def event(self, event: EventReport) -> None:
        self._captured.events.append(self._made(event_record(event)))

    def kpi(self, point: KpiReport) -> None:
        self._captured.kpis.append(kpi_point(point))

    def predictions(self, report: PredictionsReport) -> None:
        self._captured.predictions.append(self._made(predictions_record(report)))

    def actuals(self, report: ActualsReport) -> None:
        self._captured.actuals.append(self._made(actuals_record(report)))

    def publish(self, model: ModelToPublish) -> None:
        folder = Path(tempfile.mkdtemp(prefix="mlops-captured-"))
        try:
            outbox = Outbox(folder, "captured")
            entry = outbox.put(model, self._environment.origin())
            self._captured.models.append(self._made(model_announcement(entry.manifest, "")))
            outbox.remove(entry)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        pass

    def _made(self, make: MakeRecord) -> Any:
        with self._lock:
            self._seq += 1
            return make(records.Origin(**self._environment.origin()), _PRODUCER_ID, self._seq - 1)
