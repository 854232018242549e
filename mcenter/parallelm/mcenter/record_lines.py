"""Decoded records as lines of text or JSON: what ``mcenter tail`` prints."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from parallelm.mcenter import cells
from parallelm.mcenter.terminal import visible
from parallelm.operations.json_values import plain

if TYPE_CHECKING:
    from parallelm.operations.topic_records import DecodedRecord

_SHOWN_BYTES = 48


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
