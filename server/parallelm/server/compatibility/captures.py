"""Timeline captures under the original's calls; making one begins in the API or on a page."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from parallelm.operations import captures as operations
from parallelm.schemas.captures.names import download_name
from parallelm.server.access.principal import Principal
from parallelm.server.api._readable import READ
from parallelm.server.capture_file import capture_file, readable_capture
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of

ROUTER: Final = APIRouter(prefix="/timelineCaptures")
_STATES: Final = {"complete": "Complete", "in_progress": "In Progress"}


@ROUTER.get("")
def list_captures(request: Request, caller: Caller) -> list[dict[str, Any]]:
    """Captures that somebody may read."""
    return [_shown(each) for each in _readable(request, caller)]


@ROUTER.get("/{capture_id}")
def get_capture(request: Request, capture_id: str, caller: Caller) -> dict[str, Any]:
    """One of them."""
    return _shown(_found(request, caller, capture_id))


@ROUTER.post("/{capture_id}/prepare")
def prepare(request: Request, capture_id: str, caller: Caller) -> dict[str, Any]:
    """Its file is made when it is taken: says how far that is."""
    return {"status": _shown(_found(request, caller, capture_id))["status"]}


@ROUTER.get("/{capture_id}/prepareStatus")
def prepare_status(request: Request, capture_id: str, caller: Caller) -> dict[str, Any]:
    """How far its making is."""
    return {"status": _shown(_found(request, caller, capture_id))["status"]}


@ROUTER.get("/{capture_id}/download")
def download(request: Request, capture_id: str, caller: Caller) -> StreamingResponse:
    """The tar."""
    record = _found(request, caller, capture_id)
    answer = capture_file(context_of(request).settings, record)
    # Old programs know this form of the name only.
    name = download_name(record.name, record.mlapp_id).encode("ascii", "replace").decode()
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _readable(request: Request, caller: Principal) -> list[operations.CaptureRecord]:
    found = operations.list_captures(context_of(request).settings)
    return [each for each in found if caller.may(READ, each.mlapp_id)]


def _found(request: Request, caller: Principal, capture_id: str) -> operations.CaptureRecord:
    return readable_capture(context_of(request).settings, caller, capture_id)


def _shown(record: operations.CaptureRecord) -> dict[str, Any]:
    return {
        "id": record.capture_id,
        "name": record.name,
        "ionInstanceId": record.mlapp_id,
        "startTime": record.start_ms,
        "endTime": record.end_ms,
        "createdBy": record.created_by,
        "status": _STATES.get(record.state.value, "Failed"),
    }
