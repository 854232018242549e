"""Decoded records as lines of text or JSON, and the filters that choose among them: what ``mcenter tail`` prints."""

from __future__ import annotations

import base64
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from parallelm.mcenter import cells
from parallelm.mcenter.cells import plain
from parallelm.mcenter.terminal import visible
from parallelm.schemas.errors import DecodeError, UnknownSchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.schemas.codec import Codec
    from parallelm.schemas.topic_reader import RawRecord

_SHOWN_BYTES = 48


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
    """``path=text``: some value at the path reads as the text. A path goes through records, maps and sequences."""

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


def as_json(name: str, record: DecodedRecord) -> str:
    """One line of strict JSON: bytes as ``{"base64": …}`` unless they are UTF-8, NaN and infinities as texts."""
    raw = record.raw
    line: dict[str, Any] = {
        "topic": name,
        "partition": raw.partition,
        "offset": raw.offset,
        "ingested_at_ms": raw.ingested_at_ms,
        "key": plain(raw.key),
    }
    if record.error:
        line |= {"error": record.error, "bytes": {"base64": base64.b64encode(raw.value or b"").decode()}}
    else:
        line |= {
            "record": None if raw.value is None else type(record.value).__name__,
            "value": plain(record.value),
        }
    return cells.as_json(line)


def as_text(record: DecodedRecord) -> str:
    """One line for people."""
    raw = record.raw
    when = datetime.fromtimestamp(raw.ingested_at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    place = f"{when.replace('+00:00', 'Z')} {raw.partition}/{raw.offset} {visible(str(plain(raw.key)))}"
    if record.error:
        shown = (raw.value or b"")[:_SHOWN_BYTES].hex(" ")
        return f"{place} UNDECODABLE {visible(record.error)} [{shown}]"
    if raw.value is None:
        return f"{place} TOMBSTONE"
    return f"{place} {type(record.value).__name__} {cells.as_json(record.value)}"


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    said = plain(value)
    return f"{said:g}" if isinstance(said, float) and said.is_integer() else str(said)
