"""Where reports go: the contract of the outputs of all modes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.mlops._models.outbox import ModelToPublish, OutboxEntry
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport
    from parallelm.schemas.series_key import SeriesKey


class EventReport(NamedTuple):
    """A validated event, with its data as given and encoded."""

    type_name: str
    type_number: int
    title: str
    description: str | None
    is_alert: bool
    model_id: str
    content_type: str
    payload: bytes
    time_ns: int


class KpiReport(NamedTuple):
    """One validated point of a KPI."""

    name: str
    value: float
    labels: Mapping[str, str]
    model_id: str
    time_ns: int


class PredictionsReport(NamedTuple):
    """Validated predictions of one model, in parallel lists, few enough for one record."""

    outcome: str
    kind: str
    model_id: str
    sampled_share: float
    ids: Sequence[str]
    times_ns: Sequence[int]
    values: Sequence[float]
    classes: Sequence[str]
    features: Mapping[str, Sequence[str]]


class ActualsReport(NamedTuple):
    """Validated outcomes, in parallel lists, few enough for one record."""

    outcome: str
    ids: Sequence[str]
    times_ns: Sequence[int]
    values: Sequence[str]


class Output(ABC):
    """Takes validated reports. Never blocks on the network, never raises because something outside is down."""

    @abstractmethod
    def sample(self, series: SeriesKey, value: float, time_ns: int) -> None:
        """One number of one series; an int stays an int where it is printed."""

    @abstractmethod
    def numeric(self, report: NumericReport, model_id: str, time_ns: int) -> None:
        """Numbers with one event time."""

    def numerics(self, reports: Sequence[NumericReport], model_id: str, time_ns: int) -> None:
        """Reports that are judged together: where they become records, one record holds them if they fit."""
        for report in reports:
            self.numeric(report, model_id, time_ns)

    @abstractmethod
    def structured(
        self, report: StructuredReport, model_id: str, time_ns: int, labels: Mapping[str, str]
    ) -> None:
        """A table, a graph, a set of histograms."""

    @abstractmethod
    def event(self, event: EventReport) -> None:
        """An event or alert."""

    @abstractmethod
    def kpi(self, point: KpiReport) -> None:
        """A point of a KPI."""

    @abstractmethod
    def predictions(self, report: PredictionsReport) -> None:
        """Predictions."""

    @abstractmethod
    def actuals(self, report: ActualsReport) -> None:
        """Outcomes of what was predicted."""

    @abstractmethod
    def publish(self, model: ModelToPublish) -> None:
        """Take a copy of a model's file or directory; the caller may remove it afterwards."""

    @abstractmethod
    def close(self) -> None:
        """Send everything, within the time limits of the settings, and release all resources.

        May be called again: after an interruption it finishes, else it does nothing. Reports that threads of the host
        program make afterwards are dropped and counted.
        """

    def abandon(self) -> None:  # noqa: B027 - most outputs send nothing later than they are called
        """Send nothing more, and count the rest as dropped: the program ends now."""

    def interpreter_ends(self) -> None:  # noqa: B027 - most outputs have nothing to do
        """Called by the library's exit hook, after ``close()``."""

    def after_fork_in_child(self) -> None:  # noqa: B027 - most outputs have nothing to release
        """Release what belongs to the parent process: its threads, locks and unsent reports."""

    def dropped(self) -> dict[str, int]:
        """How many reports were dropped, by reason."""
        return {}

    def published(self) -> Mapping[str, OutboxEntry] | None:
        """Published models by id, if the output itself stores them; None if the platform does."""
        return None

    def stats_map(self) -> dict[str, Any]:
        """The newest value of each statistic, by name, if the output stores it."""
        return {}
