"""Timeline captures: an MLApp's state over a time range in one file, made in the background."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, File, Path, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from parallelm.operations import captures as operations
from parallelm.server import capture_import
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.access.limits import UPLOAD_BYTES
from parallelm.server.api._once import OnceKey
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, moment_of
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.api.tasks import TaskStatus, begun
from parallelm.server.capture_file import MEDIA_TYPE, capture_file, readable_capture
from parallelm.server.context import context_of

ROUTER: Final = resource("captures")
CaptureId = Annotated[str, Path(min_length=1, max_length=200)]
_READS: Final = [Depends(require(READ))]
_WRITES: Final = [Depends(require("captures.write"))]


class NewCapture(BaseModel):
    """What is taken."""

    model_config = ConfigDict(extra="forbid")

    from_: Annotated[AskedTime, Field(alias="from")]
    to: AskedTime
    name: Annotated[str, Field(max_length=200)] = ""


class Capture(Answer):
    """A capture, or one that is being made."""

    capture_id: str
    name: str
    mlapp_id: str
    start: Moment
    end: Moment
    created_by: str
    created_at: Moment
    expires_at: Moment | None
    """Null: it is kept for ever."""
    state: str
    """`in_progress`, `complete`, `failed` or `expired`."""
    progress: float
    """Of its making, 0 to 1."""
    step: str
    reason: str
    """Why it failed."""
    size_bytes: int
    sha256: str
    rows: dict[str, int]
    """By table."""


@ROUTER.get("/mlapps/{mlapp_id}/captures", dependencies=_READS)
def list_captures(request: Request, mlapp_id: MLAppId, page: Paging) -> Page[Capture]:
    """Captures, the latest first."""
    found = [
        _shown(request, each) for each in operations.list_captures(context_of(request).settings, mlapp_id)
    ]
    return page.page_of(Capture, found, "created_at", "capture_id", descending=True)


@ROUTER.post("/mlapps/{mlapp_id}/captures", dependencies=_WRITES, status_code=202)
def create_capture(request: Request, mlapp_id: MLAppId, wanted: NewCapture, once: OnceKey) -> Capture:
    """Begin to take one; `progress` tells how far it is."""

    def act() -> Capture:
        asked = operations.CaptureRequest(
            mlapp_id=mlapp_id, start=wanted.from_, end=wanted.to, who=once.author, name=wanted.name
        )
        made = operations.start_capture(context_of(request).settings, asked)
        return Capture.model_validate(_shown(request, made))

    return once(Capture, act)


@ROUTER.post(
    "/mlapps/{mlapp_id}/capture-imports", dependencies=_WRITES, status_code=202, max_body_size=UPLOAD_BYTES
)
def begin_capture_import(
    request: Request,
    mlapp_id: MLAppId,
    file: Annotated[UploadFile, File(description="A capture of this platform, of any installation.")],
    once: OnceKey,
) -> TaskStatus:
    """Make the history in a capture readable here, as that of this MLApp, which must not be defined here.

    `/tasks/{task_id}` tells how far it is; its `result` has `capture_id`, `records` that were sent by table, `known_rows` that
    were there before, and `behind`: what the sinks have left to store. Importing twice adds nothing.
    """

    def act() -> TaskStatus:
        return begun(request, capture_import.begin(context_of(request), file.file, mlapp_id, once.author))

    return once(TaskStatus, act)


@ROUTER.get("/mlapps/{mlapp_id}/captures/{capture_id}", dependencies=_READS)
def get_capture(request: Request, mlapp_id: MLAppId, capture_id: CaptureId, asking: Asking) -> Capture:
    """One capture."""
    record = readable_capture(context_of(request).settings, asking, capture_id, mlapp_id)
    return Capture.model_validate(_shown(request, record))


@ROUTER.get(
    "/mlapps/{mlapp_id}/captures/{capture_id}/file",
    dependencies=_READS,
    response_class=StreamingResponse,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)
def download_capture(
    request: Request, mlapp_id: MLAppId, capture_id: CaptureId, asking: Asking
) -> StreamingResponse:
    """Its file: a tar that programs of the original read, with Parquet of every table and a report."""
    settings = context_of(request).settings
    return capture_file(settings, readable_capture(settings, asking, capture_id, mlapp_id))


@ROUTER.delete("/mlapps/{mlapp_id}/captures/{capture_id}", dependencies=_WRITES, status_code=204)
def delete_capture(request: Request, mlapp_id: MLAppId, capture_id: CaptureId, asking: Asking) -> None:
    """Delete one; one that is being made is given up."""
    settings = context_of(request).settings
    record = readable_capture(settings, asking, capture_id, mlapp_id)
    operations.delete_capture(settings, record.capture_id, who=asking.author)


def _shown(request: Request, record: operations.CaptureRecord) -> dict[str, Any]:
    return {
        "capture_id": record.capture_id,
        "name": record.name,
        "mlapp_id": record.mlapp_id,
        "start": moment_of(record.start_ms),
        "end": moment_of(record.end_ms),
        "created_by": record.created_by,
        "created_at": moment_of(record.created_at_ms),
        "expires_at": moment_of(operations.expires_at_ms(record, context_of(request).settings)),
        "state": record.state.value,
        "progress": record.share,
        "step": record.step,
        "reason": record.reason,
        "size_bytes": record.size_bytes,
        "sha256": record.sha256,
        "rows": record.rows,
    }
