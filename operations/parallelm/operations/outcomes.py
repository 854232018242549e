"""Outcomes of predictions: from the points of a file to their topic."""

from __future__ import annotations

import re
import socket
import uuid
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from parallelm.operations.errors import OperationError
from parallelm.schemas.well_known import UPLOAD_ACTUALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.operations.kpis import KpiFile
    from parallelm.schemas.records import Actuals

_ROWS_A_RECORD = 2_000
_CONNECT_TIMEOUT_S = 15.0
_TIMEOUT_S = 30.0
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+\Z", re.ASCII)
_TRUTHS = {"True": "1", "False": "0"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became known about one id, and when it happened."""

    prediction_id: str
    timestamp_ms: int
    value: str


@dataclass(frozen=True, slots=True)
class ChangedOutcomes:
    """Outcomes of an upload beside those that the warehouse has."""

    outcomes: list[Outcome]
    """Those that are new or differ, in the order of the upload."""
    revised: int
    """Known outcomes that get another value or time."""
    unchanged: int
    """Known outcomes that are so already."""
    unpredicted: int
    """Ids of the upload of which there is no prediction yet."""


def outcomes_of(found: KpiFile, id_column: str, *, names: bool, positive: str | None = None) -> list[Outcome]:
    """The outcomes in a file, of which the last line of each id counts.

    With ``names`` they are classes as they are written, else numbers; ``positive`` names the class that is 1, and all
    others are 0. Raises ``OperationError`` for lines without id.
    """
    by_id: dict[str, Outcome] = {}
    without = 0
    for point, written in zip(found.points, found.written, strict=True):
        name = point.labels.get(id_column, "")
        without += not name
        value = _class(written) if names else _shortest(point.value)
        if positive is not None:
            value = str(int(written == positive))
        by_id.pop(name, None)  # the last line counts, and stands where it stands in the file
        by_id[name] = Outcome(name, point.timestamp_ms, value)
    if without:
        raise OperationError(
            f"{without} of {len(found.points)} outcomes have no id; name the column of ids: --column id=…"
        )
    return list(by_id.values())


def changed_outcomes(
    settings: Settings, mlapp_id: str, outcome: str, found: Sequence[Outcome]
) -> ChangedOutcomes:
    """Which outcomes differ from what the warehouse has.

    Raises the driver's errors when ClickHouse is away. Outcomes that Kafka took in the last second may not be there yet.
    """
    from parallelm.warehouse.queries.outcomes import newest_outcomes, predicted_ids

    ids = [each.prediction_id for each in found]
    known = newest_outcomes(settings, mlapp_id, outcome, ids)
    changed = [each for each in found if known.get(each.prediction_id) != (each.timestamp_ms, each.value)]
    return ChangedOutcomes(
        changed,
        revised=sum(each.prediction_id in known for each in changed),
        unchanged=len(found) - len(changed),
        unpredicted=len(ids) - len(predicted_ids(settings, mlapp_id, outcome, ids)),
    )


def upload_actuals(
    settings: Settings, mlapp_id: str, outcome: str, source: str, outcomes: Sequence[Outcome], *, who: Author
) -> None:
    """Send outcomes and wait until the broker has them. The audit log gets an action ``upload_actuals``.

    Raises ``TopicsError`` when the topic is missing, ``UndeliveredError`` when some were not confirmed; sending all of
    them again is harmless.
    """
    from parallelm.operations.actions import action_to_send, new_action
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.registry import make_registry
    from parallelm.schemas.topic_admin import require_topic
    from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
    from parallelm.schemas.topics import ACTUALS

    topic = ACTUALS.full_name(settings.kafka.topic_prefix)
    require_topic(settings, topic, _CONNECT_TIMEOUT_S)
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    said = {"source": source, "outcomes": str(len(outcomes))}
    audit = new_action(UPLOAD_ACTUALS, mlapp_id, who=who, target=outcome, parameters=said)
    sent = (
        OutgoingRecord(topic, ACTUALS.key(batch), codec.encode(batch))
        for batch in _batches(mlapp_id, outcome, source, outcomes)
    )
    write_and_confirm(settings, chain([action_to_send(settings, audit, codec)], sent), timeout_s=_TIMEOUT_S)


def _batches(mlapp_id: str, outcome: str, source: str, outcomes: Sequence[Outcome]) -> Iterator[Actuals]:
    from parallelm.schemas.records import Actuals, Origin

    origin = Origin(mlapp_id=mlapp_id, node_id="", pipeline_instance_id="", agent_id=socket.gethostname())
    producer_id = uuid.uuid4().hex
    for seq, start in enumerate(range(0, len(outcomes), _ROWS_A_RECORD)):
        part = outcomes[start : start + _ROWS_A_RECORD]
        yield Actuals(
            origin=origin,
            producer_id=producer_id,
            seq=seq,
            source=source,
            outcome=outcome,
            ids=[each.prediction_id for each in part],
            timestamps_ms=[each.timestamp_ms for each in part],
            values=[each.value for each in part],
        )


def _shortest(value: float) -> str:
    """As components report it: 1 and 1.0 are the same outcome."""
    return str(int(value)) if value.is_integer() else repr(value)


def _class(written: str) -> str:
    """As components report it: of numbers that a frame has made of classes, and of truth values, the shortest form."""
    return _TRUTHS.get(written) or _WHOLE.sub(r"\1", written)
