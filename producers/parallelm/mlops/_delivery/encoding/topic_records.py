"""Factories for the records of each topic, called with origin, producer id and number when a record is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from parallelm.schemas import records
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.well_known import LINE_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.mlops._outputs.output import ActualsReport, EventReport, KpiReport, PredictionsReport
    from parallelm.mlops._reporting.payloads import NumericReport, StructuredReport


class MakeRecord(Protocol):
    """Makes a record."""

    def __call__(self, origin: records.Origin, producer_id: str, seq: int, /) -> Any:
        """The record with this sender's origin and producer id, and this number."""


def series_of(report: NumericReport, model_id: str) -> Iterator[tuple[SeriesKey, float]]:
    """Series and value of each line of a report; its ``line_label`` names the line."""
    named = report.line_label != LINE_LABEL
    for line, value in report.samples:
        labels = ((report.line_label, line),) if line or named else ()
        yield (
            SeriesKey(report.name, model_id, report.category, report.graph_type, labels=labels),
            float(value),
        )


def structured_statistic(
    report: StructuredReport, model_id: str, time_ns: int, labels: Mapping[str, str]
) -> MakeRecord:
    """A structured statistic."""

    def make(origin: records.Origin, producer_id: str, seq: int) -> records.StructuredStatistic:
        return records.StructuredStatistic(
            origin=origin,
            producer_id=producer_id,
            seq=seq,
            event_time_ms=time_ns // 1_000_000,
            name=report.name,
            model_id=model_id,
            graph_type=report.graph_type,
            mode=report.mode,
            labels=labels,
            content_type=report.content_type,
            data=report.payload,
            histograms=report.histograms,
        )

    return make


def event_record(event: EventReport) -> MakeRecord:
    """An event."""

    def make(origin: records.Origin, producer_id: str, seq: int) -> records.Event:
        return records.Event(
            origin=origin,
            producer_id=producer_id,
            seq=seq,
            event_time_ms=event.time_ns // 1_000_000,
            event_id=f"{producer_id}-{seq}",
            type=event.type_name,
            title=event.title,
            description=event.description or "",
            is_alert=event.is_alert,
            model_id=event.model_id,
            labels={},
            content_type=event.content_type,
            data=event.payload,
        )

    return make


def kpi_point(point: KpiReport) -> records.KpiPoint:
    """A point of a KPI."""
    return records.KpiPoint(
        name=point.name,
        labels=point.labels,
        timestamp_ms=point.time_ns // 1_000_000,
        value=float(point.value),
        model_id=point.model_id,
    )


def predictions_record(report: PredictionsReport) -> MakeRecord:
    """Predictions."""

    def make(origin: records.Origin, producer_id: str, seq: int) -> records.Predictions:
        return records.Predictions(
            origin=origin,
            producer_id=producer_id,
            seq=seq,
            outcome=report.outcome,
            kind=report.kind,
            model_id=report.model_id,
            sampled_share=report.sampled_share,
            ids=report.ids,
            timestamps_ms=[time_ns // 1_000_000 for time_ns in report.times_ns],
            values=report.values,
            classes=report.classes,
            features=report.features,
        )

    return make


def actuals_record(report: ActualsReport) -> MakeRecord:
    """Outcomes."""

    def make(origin: records.Origin, producer_id: str, seq: int) -> records.Actuals:
        return records.Actuals(
            origin=origin,
            producer_id=producer_id,
            seq=seq,
            source="actuals",
            outcome=report.outcome,
            ids=report.ids,
            timestamps_ms=[time_ns // 1_000_000 for time_ns in report.times_ns],
            values=report.values,
        )

    return make


def model_announcement(manifest: Mapping[str, Any], url: str) -> MakeRecord:
    """The announcement of a model in the outbox. Its origin is that of the publishing process, not of the one that sends it."""

    def make(_sender: records.Origin, producer_id: str, seq: int) -> records.ModelAnnouncement:
        return records.ModelAnnouncement(
            origin=records.Origin(**manifest["origin"]),
            producer_id=producer_id,
            seq=seq,
            event_time_ms=manifest["event_time_ms"],
            model_id=manifest["model_id"],
            name=manifest["name"],
            format=manifest["format"],
            description=manifest["description"],
            artifact_url=url,
            file_name=manifest["file_name"],
            is_directory=manifest["is_directory"],
            size_bytes=manifest["size_bytes"],
            sha256=manifest["sha256"],
            annotations=manifest["annotations"],
            owner=manifest["owner"],
            train_version=manifest["train_version"],
            model_version=manifest["model_version"],
            signature=manifest.get("signature", ""),
        )

    return make
