"""Reports over HTTP: statistics and events as the original's library sent them, percent-encoded JSON; plain JSON is taken, too."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Depends, Request

from parallelm.operations import reporting
from parallelm.operations.json_values import read_json
from parallelm.operations.reporting import LINE_GRAPH, MULTI_LINE_GRAPH
from parallelm.schemas.records import Origin
from parallelm.schemas.well_known import CANARY_HEALTH, DATA_ALERT, GENERIC_EVENT, HEALTH_ALERT, SYSTEM_ALERT
from parallelm.server.access.dependencies import allow
from parallelm.server.compatibility._pipelines import pipeline_of
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = APIRouter()
WRITE: Final = "reports.write"
MOST_BYTES: Final = 3_000_000
"""Percent-encoded: a record takes a megabyte."""
_NS_A_MS: Final = 1_000_000
_TYPES: Final = {
    "0": GENERIC_EVENT,
    "52": DATA_ALERT,
    "53": HEALTH_ALERT,
    "54": SYSTEM_ALERT,
    "151": CANARY_HEALTH,
}
"""Events by the numbers that the original gave them."""


async def _sent(request: Request) -> dict[str, Any]:
    text = (await request.body()).strip()
    try:
        found = read_json(text if text.startswith(b"{") else unquote_to_bytes(text))
    except ValueError as error:
        raise _wrong(f"the body is no percent-encoded JSON: {error}") from error
    if not isinstance(found, dict):
        raise _wrong("the body must be a JSON object")
    return found


Sent = Annotated[dict[str, Any], Depends(_sent)]


@ROUTER.post("/stats/{instance_id}", max_body_size=MOST_BYTES)
def report_statistic(request: Request, instance_id: str, caller: Caller, sent: Sent) -> dict[str, str]:
    """A statistic: numbers become series, which rules watch; all else is kept as it is. KPIs take ``kpis.write`` besides."""
    origin = _origin(request, caller, instance_id)
    settings = context_of(request).settings
    value = _object(sent.get("value"), "value")
    name = _text(value.get("name"), "name") or _text(sent.get("name"), "name")
    if not name:
        raise _wrong("the statistic has no name")
    graph = _text(value.get("graphType"), "graphType").upper() or LINE_GRAPH
    at_ms, model_id = _at_ms(value.get("timestamp")), _text(value.get("modelId"), "modelId")
    data = _nested(value.get("data"))
    if "KPI" in {graph, _text(value.get("type"), "type").upper()}:
        allow(caller, "kpis.write", origin.mlapp_id)
        lines = _numbers(data, name)
        points = {name: next(iter(lines.values()))} if len(lines) == 1 else lines
        reporting.report_kpi(settings, origin, points, source=f"reported by {caller.name}", at_ms=at_ms)
    elif graph in {LINE_GRAPH, MULTI_LINE_GRAPH}:
        lines = _numbers(data, name)
        if graph == LINE_GRAPH and len(lines) == 1:
            lines = {"": next(iter(lines.values()))}
        reporting.report_numbers(
            settings, origin, name, lines, graph_type=graph, model_id=model_id, at_ms=at_ms
        )
    else:
        mode = _text(value.get("mode"), "mode") or "INSTANT"
        payload = json.dumps(data).encode()
        reporting.report_structured(
            settings, origin, name, payload, graph_type=graph, mode=mode, model_id=model_id, at_ms=at_ms
        )
    return {"status": "ok"}


@ROUTER.post("/events/{instance_id}", max_body_size=MOST_BYTES)
def report_event(request: Request, instance_id: str, caller: Caller, sent: Sent) -> dict[str, str]:
    """An event; one with ``isAlert`` raises an alert."""
    origin = _origin(request, caller, instance_id)
    kind = _text(sent.get("eventType"), "eventType") or GENERIC_EVENT
    payload = sent.get("data") or ""
    try:
        data = (
            base64.b64decode(payload, validate=True)
            if isinstance(payload, str)
            else json.dumps(payload).encode()
        )
    except ValueError as error:
        raise _wrong(f"data is no base64: {error}") from error
    event_id = reporting.report_event(
        context_of(request).settings,
        origin,
        _TYPES.get(kind, kind),
        _text(sent.get("eventLabel"), "eventLabel") or kind,
        data,
        content_type=_content_type(data),
        is_alert=_text(sent.get("isAlert"), "isAlert").lower() in {"true", "1"},
        at_ms=_at_ms(sent.get("timestamp")),
    )
    return {"id": event_id}


def _origin(request: Request, caller: Caller, instance_id: str) -> Origin:
    found = pipeline_of(request, caller, instance_id, WRITE)
    host = request.client.host if request.client else ""
    return Origin(
        mlapp_id=found.mlapp_id, node_id=found.node_id, pipeline_instance_id=instance_id, agent_id=host
    )


def _object(value: Any, what: str) -> dict[str, Any]:
    found = _nested(value)
    if not isinstance(found, dict):
        raise _wrong(f"{what} must be a JSON object, or the text of one")
    return found


def _nested(value: Any) -> Any:
    """The original writes JSON as text into JSON."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except ValueError:
        return value


def _numbers(data: Any, name: str) -> dict[str, float]:
    lines = data if isinstance(data, Mapping) else {"": data}
    try:
        found = {str(key): float(each) for key, each in lines.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(f"statistic {name!r} has data that are no numbers: {data!r}"[:500]) from error
    if not found:
        raise _wrong(f"statistic {name!r} has no data")
    return found


def _text(value: Any, what: str) -> str:
    """A text or number as text; nothing as none."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise _wrong(f"{what} is {value!r}; it must be a text"[:500])
    return str(value)


def _at_ms(timestamp: Any) -> int | None:
    """Of nanoseconds, as numbers or texts."""
    if timestamp is None or timestamp == "":
        return None
    try:
        return int(timestamp) // _NS_A_MS
    except (TypeError, ValueError, OverflowError) as error:
        raise _wrong(
            f"the timestamp is {timestamp!r:.500}; it must be a number of nanoseconds since 1970"
        ) from error


def _content_type(data: bytes) -> str:
    """What the bytes are. What the original pickled stays bytes: it is never opened."""
    try:
        read_json(data or b"null")
    except ValueError:
        return "application/octet-stream"
    return "application/json"


def _wrong(what: str) -> ApiProblemError:
    return ApiProblemError(422, "invalid-report", what)
