"""KPI points to their topic, and what was uploaded."""

from __future__ import annotations

import dataclasses
import socket
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from parallelm.operations.authors import author_of_command
from parallelm.schemas.well_known import UPLOAD_KPIS, WITHDRAW_KPIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import KpiBatch, KpiPoint

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POINTS_A_RECORD = 500
_CONNECT_TIMEOUT_S = 15.0
_TIMEOUT_S = 30.0
_NAMED_LABELS = 3
_NAMED = 20
"""KPIs that an action names at most."""


@dataclass(frozen=True, slots=True)
class UploadedKpi:
    """What was uploaded of one KPI: points with different times or labels, and the range of their times."""

    name: str
    points: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class ChangedPoints:
    """Points of an upload beside those that the warehouse has."""

    points: list[KpiPoint]
    """Those that are new or differ, in the order of the upload, each once."""
    revised: int
    """Known points that get another value."""
    unchanged: int
    """Known points that have this value already."""
    notes: list[str] = field(default_factory=list)
    """KPIs that are known with other labels only than those of the upload: a correction makes a new series by that."""


def summarize(points: Sequence[KpiPoint]) -> list[UploadedKpi]:
    """Count and time range of each KPI, by name."""
    by_name: dict[str, set[tuple[int, tuple[tuple[str, str], ...]]]] = {}
    for point in points:
        labels = tuple(sorted(point.labels.items()))
        by_name.setdefault(point.name, set()).add((point.timestamp_ms, labels))
    return [
        UploadedKpi(name, len(found), min(found)[0], max(found)[0]) for name, found in sorted(by_name.items())
    ]


def upload_kpis(
    settings: Settings,
    mlapp_id: str,
    source: str,
    points: Sequence[KpiPoint],
    *,
    who: Author | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> list[UploadedKpi]:
    """Send points and wait until the broker has them; ``on_progress`` is called with the points of each record sent.

    ``source`` is the name of the file. The audit log gets an action ``upload_kpis`` by ``who``, by default whoever a command
    would say. Raises ``TopicsError`` when the topic is missing, ``ClusterUnavailableError``
    when no broker answers, ``UndeliveredError`` when some points were not confirmed; sending all of them
    again is harmless: those that arrived get a revision.
    """
    _send(
        settings,
        UPLOAD_KPIS,
        mlapp_id,
        source,
        points,
        who=who or author_of_command(settings),
        on_progress=on_progress,
    )
    return summarize(points)


def _send(
    settings: Settings,
    action: str,
    mlapp_id: str,
    source: str,
    points: Sequence[KpiPoint],
    *,
    who: Author,
    comment: str = "",
    on_progress: Callable[[int], None] | None = None,
) -> None:
    from parallelm.operations.actions import action_to_send, new_action
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.registry import make_registry
    from parallelm.schemas.topic_admin import require_topic
    from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
    from parallelm.schemas.topics import KPIS

    topic = KPIS.full_name(settings.kafka.topic_prefix)
    require_topic(settings, topic, _CONNECT_TIMEOUT_S)
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))

    names = sorted({point.name for point in points})
    audit = new_action(
        action,
        mlapp_id,
        who=who,
        comment=comment,
        target=", ".join(names[:_NAMED])
        + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""),
        parameters={"source": source, "points": str(len(points))},
    )

    def records() -> Iterator[OutgoingRecord]:
        yield action_to_send(settings, audit, codec)
        for batch in _batches(mlapp_id, source, points):
            yield OutgoingRecord(topic, KPIS.key(batch), codec.encode(batch))
            if on_progress is not None:
                on_progress(len(batch.points))

    write_and_confirm(settings, records(), timeout_s=_TIMEOUT_S)


def withdraw_kpis(
    settings: Settings, mlapp_id: str, points: Sequence[KpiPoint], *, who: Author, comment: str
) -> list[UploadedKpi]:
    """Say that points were wrong: a revision that takes each of them out of the latest values; earlier ones are kept.

    The audit log gets an action ``withdraw_kpis``. Raises what ``upload_kpis`` raises; withdrawing a point again is harmless.
    """
    gone = [dataclasses.replace(point, withdrawn=True) for point in points]
    source = f"withdrawn by {who}: {comment}"
    _send(settings, WITHDRAW_KPIS, mlapp_id, source, gone, who=who, comment=comment)
    return summarize(gone)


def withdraw_rows(settings: Settings, found: pd.DataFrame, *, who: Author, comment: str) -> int:
    """Withdraw points that ``parallelm.warehouse.queries.kpis`` returned, of any MLApps; how many. Raises as ``withdraw_kpis``."""
    count = 0
    for mlapp_id, rows in found.groupby("mlapp_id", sort=True):
        gone = withdraw_kpis(settings, str(mlapp_id), _points_of(rows), who=who, comment=comment)
        count += sum(each.points for each in gone)
    return count


def _points_of(rows: pd.DataFrame) -> list[KpiPoint]:
    from parallelm.schemas.records import KpiPoint

    return [
        KpiPoint(
            name=row["name"],
            labels=row["labels"],
            timestamp_ms=(row["event_time"] - _EPOCH) // timedelta(milliseconds=1),
            value=row["value"],
            model_id="",
        )
        for row in rows.to_dict("records")
    ]


def changed_points(settings: Settings, mlapp_id: str, points: Sequence[KpiPoint]) -> ChangedPoints:
    """Which points differ from what the warehouse has; of points that repeat each other the last one counts.

    Raises the driver's errors when ClickHouse is away. Points that Kafka took in the last second may not be there yet.
    """
    from parallelm.warehouse.queries import kpi_label_names, kpi_values

    if not points:
        return ChangedPoints([], 0, 0)
    times = [point.timestamp_ms for point in points]
    names = sorted({point.name for point in points})
    known = kpi_values(settings, mlapp_id, names, min(times), max(times))
    last = last_points(points)
    changed = [point for point in last if known.get(_identity(point)) != point.value]
    revised = sum(_identity(point) in known for point in changed)
    notes = _other_labels(changed, kpi_label_names(settings, mlapp_id, names))
    return ChangedPoints(changed, revised, len(last) - len(changed), notes)


def last_points(points: Sequence[KpiPoint]) -> list[KpiPoint]:
    """Of points that repeat each other the last one, where it stands."""
    by_identity: dict[tuple[str, tuple[tuple[str, str], ...], int], KpiPoint] = {}
    for point in points:
        identity = _identity(point)
        by_identity.pop(identity, None)
        by_identity[identity] = point
    return list(by_identity.values())


def _other_labels(points: Sequence[KpiPoint], known: Mapping[str, set[tuple[str, ...]]]) -> list[str]:
    new = sorted({(point.name, tuple(sorted(point.labels))) for point in points})
    return [
        f"KPI {name!r} is known with {_labels_in_words(known[name])}, and these points have {_labels_in_words({labels})}: "
        "they make series of their own, and revise none"
        for name, labels in new
        if name in known and labels not in known[name]
    ]


def _labels_in_words(found: set[tuple[str, ...]]) -> str:
    shown = [" and ".join(map(repr, labels)) for labels in sorted(found)[:_NAMED_LABELS]]
    return " or ".join(f"the labels {each}" if each else "no labels" for each in shown)


def _identity(point: KpiPoint) -> tuple[str, tuple[tuple[str, str], ...], int]:
    return point.name, tuple(sorted(point.labels.items())), point.timestamp_ms


def _batches(mlapp_id: str, source: str, points: Sequence[KpiPoint]) -> Iterator[KpiBatch]:
    from parallelm.schemas.kpi_points import points_of_one_record
    from parallelm.schemas.records import KpiBatch, Origin

    origin = Origin(mlapp_id=mlapp_id, node_id="", pipeline_instance_id="", agent_id=socket.gethostname())
    producer_id = uuid.uuid4().hex
    sent = seq = 0
    while sent < len(points):
        taken = list(points_of_one_record(points[sent : sent + _POINTS_A_RECORD]))
        yield KpiBatch(origin=origin, producer_id=producer_id, seq=seq, source=source, points=taken)
        sent, seq = sent + len(taken), seq + 1
