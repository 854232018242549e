"""An event as components make it."""

from __future__ import annotations

from typing import Any

from parallelm.mlops._event_time import parse_time_ns
from parallelm.mlops.events.event_type import GENERIC_EVENT, type_name
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._values import json_text, jsonable, string


class Event:
    """Something that happened. ``label`` is its title.

    ``data`` is anything that JSON can hold, an array, or bytes. ``timestamp`` is a datetime, a text in ISO 8601 or
    nanoseconds since the epoch; without one, the time is that of the report. Raises ``MLOpsException``.
    """

    def __init__(
        self,
        label: str,
        description: str | None = None,
        data: Any = None,
        event_type: Any = GENERIC_EVENT,
        is_alert: bool = False,
        timestamp: Any = None,
        *,
        model_id: str = "",
    ) -> None:
        self.label = string(label, "the label of an event")
        self.description = "" if description is None else string(description, "the description of an event")
        self.type = type_name(event_type)
        self.is_alert = bool(is_alert)
        self.timestamp_ns = None if timestamp is None else parse_time_ns(timestamp)
        self.model_id = model_id
        self.data = data
        self.content_type, self.payload = _encoded(data)


def _encoded(data: Any) -> tuple[str, bytes]:
    """Media type and bytes of an event's data."""
    if data is None:
        return "application/json", b""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return "application/octet-stream", bytes(data)
    plain = data.tolist() if hasattr(data, "tolist") else data
    try:
        return "application/json", json_text(jsonable(plain, "the data of an event")).encode()
    except MLOpsException as error:
        raise MLOpsException(
            f"{error}; give dicts, lists, texts and numbers, or bytes that you make yourself"
        ) from None
