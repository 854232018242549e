"""Outcomes of predictions: from a file to their topic."""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING

from parallelm.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.records import Actuals, KpiPoint

ID_LABEL = "id"
_ROWS_A_RECORD = 2_000
_CONNECT_TIMEOUT_S = 15.0
_TIMEOUT_S = 30.0


def upload_actuals(
    settings: Settings, mlapp_id: str, outcome: str, source: str, points: Sequence[KpiPoint]
) -> int:
    """Send outcomes, read as points with the label ``id``, and wait until the broker has them; returns how many.

    Raises ``OperationError`` for a point without id, ``TopicsError`` when the topic is missing, ``UndeliveredError`` when
    some were not confirmed; sending all of them again is harmless.
    """
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.registry import make_registry
    from parallelm.schemas.topic_admin import require_topic
    from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
    from parallelm.schemas.topics import ACTUALS

    without = sum(not point.labels.get(ID_LABEL) for point in points)
    if without:
        raise OperationError(
            f"{without} of {len(points)} outcomes have no id; name the column of ids: --column id=…"
        )
    topic = ACTUALS.full_name(settings.kafka.topic_prefix)
    require_topic(settings, topic, _CONNECT_TIMEOUT_S)
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    sent = (
        OutgoingRecord(topic, ACTUALS.key(batch), codec.encode(batch))
        for batch in _batches(mlapp_id, outcome, source, points)
    )
    write_and_confirm(settings, sent, timeout_s=_TIMEOUT_S)
    return len(points)


def _batches(mlapp_id: str, outcome: str, source: str, points: Sequence[KpiPoint]) -> Iterator[Actuals]:
    from parallelm.schemas.records import Actuals, Origin

    origin = Origin(mlapp_id=mlapp_id, node_id="", pipeline_instance_id="", agent_id=socket.gethostname())
    producer_id = uuid.uuid4().hex
    for seq, start in enumerate(range(0, len(points), _ROWS_A_RECORD)):
        part = points[start : start + _ROWS_A_RECORD]
        yield Actuals(
            origin=origin,
            producer_id=producer_id,
            seq=seq,
            source=source,
            outcome=outcome,
            ids=[point.labels[ID_LABEL] for point in part],
            timestamps_ms=[point.timestamp_ms for point in part],
            values=[_shortest(point.value) for point in part],
        )


def _shortest(value: float) -> str:
    """As components report it: 1 and 1.0 are the same outcome."""
    return str(int(value)) if value.is_integer() else repr(value)
