"""Reports of programs that have no component library: numbers, structured statistics, KPI points and events, to their topics."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from parallelm.operations.errors import OperationError
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import Event, KpiBatch, KpiPoint, Series, StatisticsBatch, StructuredStatistic
from parallelm.schemas.registry import make_registry
from parallelm.schemas.shared_writer import write_confirmed
from parallelm.schemas.times import is_time
from parallelm.schemas.topic_writer import OutgoingRecord
from parallelm.schemas.topics import EVENTS, KPIS, STATISTICS, STRUCTURED_STATISTICS
from parallelm.schemas.well_known import LINE_LABEL, TIME_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings
    from parallelm.schemas.records import Origin
    from parallelm.schemas.topics import Topic

LINE_GRAPH: Final = "LINEGRAPH"
MULTI_LINE_GRAPH: Final = "MULTILINEGRAPH"


class ReportError(OperationError):
    """A report that cannot be stored as it is."""


def report_numbers(
    settings: Settings,
    origin: Origin,
    name: str,
    lines: Mapping[str, float],
    *,
    graph_type: str = LINE_GRAPH,
    category: str = "TIME_SERIES",
    model_id: str = "",
    at_ms: int | None = None,
) -> None:
    """Numbers with one time, a series a line; the line "" has no label. Raises ``ReportError``, and as ``write_confirmed``."""
    at = float(_checked(at_ms))
    series = [
        Series(
            name=name,
            model_id=model_id,
            category=category,
            graph_type=graph_type,
            labels={LINE_LABEL: line} if line else {},
            timestamps_ms=[at],
            values=[value],
        )
        for line, value in lines.items()
    ]
    _send(
        settings,
        STATISTICS,
        StatisticsBatch(origin=origin, producer_id=uuid.uuid4().hex, seq=0, series=series),
    )


def report_structured(
    settings: Settings,
    origin: Origin,
    name: str,
    data: bytes,
    *,
    graph_type: str,
    mode: str = "INSTANT",
    content_type: str = "application/json",
    model_id: str = "",
    at_ms: int | None = None,
) -> None:
    """A table, graph or another statistic that is no number; raises as ``report_numbers``."""
    record = StructuredStatistic(
        origin=origin,
        producer_id=uuid.uuid4().hex,
        seq=0,
        event_time_ms=_checked(at_ms),
        name=name,
        model_id=model_id,
        graph_type=graph_type,
        mode=mode,
        labels={},
        content_type=content_type,
        data=data,
        histograms=(),
    )
    _send(settings, STRUCTURED_STATISTICS, record)


def report_kpi(
    settings: Settings, origin: Origin, values: Mapping[str, float], *, source: str, at_ms: int | None = None
) -> None:
    """A point of each KPI; raises as ``report_numbers``."""
    points = [
        KpiPoint(name=name, labels={}, timestamp_ms=_checked(at_ms), value=value, model_id="")
        for name, value in values.items()
    ]
    batch = KpiBatch(origin=origin, producer_id=uuid.uuid4().hex, seq=0, source=source, points=points)
    _send(settings, KPIS, batch)


def report_event(
    settings: Settings,
    origin: Origin,
    type_name: str,
    title: str,
    data: bytes,
    *,
    content_type: str,
    is_alert: bool = False,
    at_ms: int | None = None,
) -> str:
    """An event, and its id; raises as ``report_numbers``."""
    event = Event(
        origin=origin,
        producer_id=uuid.uuid4().hex,
        seq=0,
        event_time_ms=_checked(at_ms),
        event_id=uuid.uuid4().hex,
        type=type_name,
        title=title,
        description="",
        is_alert=is_alert,
        model_id="",
        labels={},
        content_type=content_type,
        data=data,
    )
    _send(settings, EVENTS, event)
    return event.event_id


def _checked(at_ms: int | None) -> int:
    if at_ms is None:
        return time.time_ns() // 1_000_000
    if not is_time(at_ms):
        raise ReportError(f"the time {at_ms} ms is outside {TIME_BOUNDS}")
    return at_ms


def _send(settings: Settings, topic: Topic, record: Any) -> None:
    prefix = settings.kafka.topic_prefix
    codec = Codec(make_registry(settings.schema_registry, prefix))
    outgoing = OutgoingRecord(topic.full_name(prefix), topic.key(record), codec.encode(record))
    write_confirmed(settings, [outgoing])
