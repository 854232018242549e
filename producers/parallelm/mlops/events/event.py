"""An event that a component reports."""

from __future__ import annotations

from typing import Any

from parallelm.mlops._outputs.output import EventReport
from parallelm.mlops._session.event_time import parse_time_ns
from parallelm.mlops.events.event_type import type_name, type_number
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import guarded, octets, truth
from parallelm.mlops.stats._values import json_text, jsonable, string
from parallelm.schemas.well_known import GENERIC_EVENT


class Event:
    """Something that happened. ``label`` is its title.

    ``data`` is anything that JSON can hold, an array, or bytes. ``timestamp`` is a datetime, a date, a text
    in ISO 8601, or a number of ``units`` (default: nanoseconds) since the epoch; the default is the time of the report.
    Attributes may be changed until it is reported. Raises ``MLOpsException``.
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
        units: str | None = None,
    ) -> None:
        self.label = label
        self.description = "" if description is None else description
        self.type = event_type
        self.is_alert = truth(is_alert, "is_alert")
        self.timestamp = timestamp
        self.units = units
        self.model_id = model_id
        self.data = data
        self.report(0)  # a wrong event is refused at its creation

    def report(self, now_ns: int) -> EventReport:
        """The report to send, with ``now_ns`` as its default time; checked again, since attributes may have changed."""
        name = type_name(self.type)
        content_type, payload = _encoded(self.data)
        return EventReport(
            type_name=name,
            type_number=type_number(name),
            title=string(self.label, "the label of an event"),
            description=string(self.description, "the description of an event"),
            is_alert=truth(self.is_alert, "is_alert"),
            model_id=string(self.model_id, "the model id of an event"),
            content_type=content_type,
            payload=payload,
            time_ns=now_ns if self.timestamp is None else parse_time_ns(self.timestamp, self.units),
        )


def _encoded(data: Any) -> tuple[str, bytes]:
    """Media type and bytes of an event's data."""
    if data is None:
        return "application/json", b""
    what = "the data of an event"
    raw = octets(data, what)
    if raw is not None:
        return "application/octet-stream", raw
    try:
        return "application/json", json_text(jsonable(_plain(data, what), what)).encode()
    except MLOpsException as error:
        raise MLOpsException(
            f"{error}; give dicts, lists, texts and numbers, or bytes that you have serialised yourself"
        ) from None


@guarded
def _plain(data: Any, what: str) -> Any:  # noqa: ARG001 - for the message
    return data.tolist() if hasattr(data, "tolist") else data
