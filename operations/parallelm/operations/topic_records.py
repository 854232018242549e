"""Records of a topic, decoded and selected by their fields, for people to read."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from parallelm.operations.errors import UnknownFieldError, UnknownTopicError
from parallelm.operations.json_values import plain
from parallelm.schemas import topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import DecodeError, UnknownSchemaError
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import read_topic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.schemas.topic_reader import RawRecord, StartPoint


@dataclass(frozen=True, slots=True)
class DecodedRecord:
    """A record of a topic with its value, or with the reason why it has none."""

    raw: RawRecord
    value: Any
    """Record dataclass; None for a tombstone and for what cannot be decoded."""
    error: str
    """Empty when it was decoded."""


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """``path=text``: some value at the path, as text, equals it. A path goes through records, maps and sequences."""

    path: tuple[str, ...]
    text: str

    def matches(self, record: Any) -> bool:
        """Whether a record has such a value."""
        return any(_scalar_text(found) == self.text for found in values_at(record, self.path))


def decoded(raw: RawRecord, codec: Codec) -> DecodedRecord:
    """Decode one record; what cannot be decoded is returned with its reason instead of raising. Raises ``RegistryUnavailableError``."""
    if raw.value is None:
        return DecodedRecord(raw, None, "")
    try:
        return DecodedRecord(raw, codec.decode(raw.value), "")
    except (DecodeError, UnknownSchemaError) as error:
        return DecodedRecord(raw, None, str(error))


def values_at(record: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Every value at a path of names, through all items of sequences on the way."""
    if isinstance(record, Sequence) and not isinstance(record, str | bytes):
        for item in record:
            yield from values_at(item, path)
    elif not path:
        yield record
    elif isinstance(record, Mapping):
        # A label's name may hold dots itself.
        for length in range(1, len(path) + 1):
            key = ".".join(path[:length])
            if key in record:
                yield from values_at(record[key], path[length:])
    elif is_dataclass(record) and hasattr(record, path[0]):
        yield from values_at(getattr(record, path[0]), path[1:])


def path_exists(kind: Any, path: tuple[str, ...]) -> bool:
    """Whether records of class ``kind`` can have a value at a path; names of labels are free."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Sequence:
        return path_exists(arguments[0], path)
    if not path or origin is Mapping:
        return True
    hints = typing.get_type_hints(kind) if is_dataclass(kind) else {}
    return path[0] in hints and path_exists(hints[path[0]], path[1:])


def find_topic(name: str, prefix: str) -> topics.Topic:
    """Topic of a name with or without prefix; raises ``UnknownTopicError``."""
    try:
        return topics.by_name(name, prefix)
    except KeyError as error:
        raise UnknownTopicError(str(error.args[0])) from error


def read_records(
    settings: Settings,
    topic: topics.Topic,
    start: StartPoint,
    filters: Sequence[FieldFilter] = (),
    *,
    mlapp_id: str | None = None,
    node_id: str | None = None,
    follow: bool = False,
    timeout_s: float = 15.0,
) -> Iterator[DecodedRecord]:
    """Records of a topic from ``start``, those that pass all filters; with filters only what was decoded.

    Raises ``UnknownFieldError`` when records of this topic have no such field, ``TopicsError`` when the topic is not on
    the cluster, ``ClusterUnavailableError`` when no broker answers, ``RegistryUnavailableError`` when the registry is away.
    """
    for each in filters:
        if not path_exists(topic.record, each.path):
            raise UnknownFieldError(
                f"{topic.record.__name__} has no field {'.'.join(each.path)!r}; it has: "
                f"{', '.join(field.name for field in fields(topic.record))}"
            )
    all_filters = [*filters, *_id_filters(topic, mlapp_id=mlapp_id, node_id=node_id)]
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    name = topic.full_name(settings.kafka.topic_prefix)
    raw_records = read_topic(settings, name, start, follow=follow, timeout_s=timeout_s)
    return (
        record
        for record in (decoded(raw, codec) for raw in raw_records)
        if all(record.value is not None and each.matches(record.value) for each in all_filters)
    )


def _id_filters(topic: topics.Topic, **ids: str | None) -> list[FieldFilter]:
    """Filters on ids, which are in the record itself or in its origin."""
    filters = []
    for field, text in ids.items():
        if text is None:
            continue
        paths = [path for path in ((field,), ("origin", field)) if path_exists(topic.record, path)]
        if not paths:
            raise UnknownFieldError(f"{topic.record.__name__} has no {field}")
        filters.append(FieldFilter(paths[0], text))
    return filters


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    said = plain(value)
    return f"{said:g}" if isinstance(said, float) and said.is_integer() else str(said)
