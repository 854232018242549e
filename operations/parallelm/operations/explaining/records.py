"""The record that caused a decision, from Kafka while it is there, else from the warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.authors import who_said
from parallelm.operations.definitions import validate_definition
from parallelm.operations.errors import InvalidFileError
from parallelm.operations.explaining.part import Part
from parallelm.operations.json_values import plain, scalar_text
from parallelm.operations.topic_records import decoded
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.records import UserAction
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import read_one

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from parallelm.connections import Settings
    from parallelm.schemas.records import MLAppDefinition

_TIMEOUT_S = 5.0
_CLOCKS_MS = 60_000
"""By which clocks of brokers differ, at most: also in the view ``decisions_and_causes``."""


def epoch_ms(moment: datetime) -> int:
    """Epoch milliseconds of a time of the warehouse."""
    return round(moment.timestamp() * 1000)


def cause_of(settings: Settings, transition: Mapping[str, Any]) -> Part:
    """The record that caused a transition: what it is, who sent it, and its place."""
    from parallelm.warehouse.queries import rows_of_record

    topic, partition, offset = (transition[f"cause_{name}"] for name in ("topic", "partition", "offset"))
    if not topic:
        return Part("caused by time: nothing came")
    place = f"{topic}/{partition}@{offset}"
    values: dict[str, Any] = {"topic": topic, "partition": partition, "offset": offset}
    latest_ms = epoch_ms(transition["ingested_at"]) + _CLOCKS_MS
    record, away = _from_kafka(settings, topic, partition, offset, latest_ms)
    if record is not None:
        return Part(f"caused by {place}, on Kafka: {_said(record)}", values | {"record": plain(record)})
    rows = rows_of_record(settings, topic, partition, offset, came_by_ms=latest_ms)
    if rows:
        return Part(
            f"caused by {place}, {away or 'not on Kafka any more'}; the warehouse has {len(rows)} rows of it",
            values | {"rows": plain(rows)},
            [Part(_row(row)) for row in rows[:5]],
        )
    return Part(f"caused by {place}, which is neither on Kafka nor in the warehouse any more", values)


def _from_kafka(
    settings: Settings, topic: str, partition: int, offset: int, latest_ms: int
) -> tuple[Any, str]:
    """The record, or None and why it is not to be had."""
    try:
        raw = read_one(settings, topic, partition, offset, _TIMEOUT_S)
    except SchemaError as error:
        return None, f"Kafka does not answer ({error})"
    if raw is None or raw.ingested_at_ms > latest_ms:
        return None, ""  # a topic that was made again has other records at the same places
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    return decoded(raw, codec).value, ""


def _said(record: Any) -> str:
    kind = type(record).__name__
    if isinstance(record, UserAction):
        comment = f": {record.comment}" if record.comment else ""
        return f"{record.action} by {who_said(record.who, record.imported_from)}{comment}"
    origin = getattr(record, "origin", None)
    who = f" of node {origin.node_id!r} on {origin.agent_id!r}" if origin is not None else ""
    if hasattr(record, "series"):
        return f"{kind}{who}: {len(record.series)} series"
    name = getattr(record, "type", "") or getattr(record, "model_id", "") or getattr(record, "name", "")
    return f"{kind}{who}" + (f": {name}" if name else "")


def _row(row: Mapping[str, Any]) -> str:
    shown = (
        "name",
        "type",
        "model_id",
        "node_id",
        "agent_id",
        "event_time",
        "value",
        "who",
        "action",
        "comment",
    )
    if "imported_from" in row:
        row = {**row, "who": who_said(row["who"], row["imported_from"])}
    return ", ".join(f"{key} {scalar_text(row[key])}" for key in shown if row.get(key) not in ("", None))


def definition_then(
    settings: Settings, mlapp_id: str, moment: datetime
) -> tuple[Mapping[str, Any] | None, MLAppDefinition | None]:
    """Row of the definition that was in force, and the definition itself; None for what is not known."""
    from parallelm.warehouse.queries import definition_at

    row = definition_at(settings, mlapp_id, epoch_ms(moment))
    if row is None:
        return None, None
    try:
        return row, validate_definition(row["source_yaml"].encode(), f"version {row['version']}")
    except InvalidFileError:  # written by another version
        return row, None
