"""Captures of an MLApp: taken in the background, shown while they are being made, downloaded, deleted."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import StreamingResponse
from starlette.responses import HTMLResponse, Response

from parallelm.operations.captures import (
    CaptureRequest,
    CaptureState,
    delete_capture,
    expires_at_ms,
    list_captures,
    start_capture,
)
from parallelm.server import capture_import
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.access.limits import UPLOAD_BYTES
from parallelm.server.capture_file import capture_file, readable_capture
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import gone_to, toast

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/captures")
PAGE: Final = Page("Captures", "/captures", "mlapps.read", place=80, of_mlapp=True)
_READ: Final = [Depends(require("mlapps.read"))]
_WRITE: Final = [Depends(require("captures.write"))]


@ROUTER.get("", dependencies=_READ)
def captures(request: Request, mlapp_id: str, asking: Asking) -> HTMLResponse:
    """The list; the part of it that changes while one is being made is asked for by htmx."""
    settings = context_of(request).settings
    found = list_captures(settings, mlapp_id)
    values = {
        "mlapp_id": mlapp_id,
        "captures": [(each, expires_at_ms(each, settings)) for each in found],
        "in_progress": any(each.state is CaptureState.IN_PROGRESS for each in found),
        "may_write": asking.may("captures.write", mlapp_id),
    }
    part = request.headers.get("hx-target") == "captures"
    return render(request, "parts/captures.html" if part else "captures.html", values)


@ROUTER.post("", dependencies=_WRITE)
def create(
    request: Request,
    mlapp_id: str,
    asking: Asking,
    start: Annotated[str, Form(alias="from")],
    end: Annotated[str, Form(alias="to")],
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Begin to take one."""
    wanted = CaptureRequest(mlapp_id=mlapp_id, start=start, end=end, who=asking.author, name=name)
    record = start_capture(context_of(request).settings, wanted)
    return toast(
        f"capture {record.capture_id} is being made",
        Response(status_code=204, headers={"HX-Refresh": "true"}),
    )


@ROUTER.post("/import", dependencies=_WRITE, max_body_size=UPLOAD_BYTES)
def import_(
    request: Request,
    asking: Asking,
    file: Annotated[UploadFile, File()],
    as_mlapp: Annotated[str, Form(min_length=1, max_length=500)],
) -> Response:
    """Begin to import one as the history of an MLApp, and go to the task."""
    allow(asking, "captures.write", as_mlapp)
    task_id = capture_import.begin(context_of(request), file.file, as_mlapp, asking.author)
    return gone_to(request, f"/tasks/{task_id}", f"{file.filename} is being imported")


@ROUTER.get("/{capture_id}/download", dependencies=_READ)
def download(request: Request, mlapp_id: str, capture_id: str, asking: Asking) -> StreamingResponse:
    """The file."""
    settings = context_of(request).settings
    return capture_file(settings, readable_capture(settings, asking, capture_id, mlapp_id))


@ROUTER.delete("/{capture_id}", dependencies=_WRITE)
def delete(request: Request, mlapp_id: str, capture_id: str, asking: Asking) -> Response:
    """Delete it; one that is being made is given up."""
    settings = context_of(request).settings
    record = readable_capture(settings, asking, capture_id, mlapp_id)
    delete_capture(settings, record.capture_id, who=asking.author)
    return toast(
        f"capture {record.capture_id} is deleted", Response(status_code=204, headers={"HX-Refresh": "true"})
    )
