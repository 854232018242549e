"""A capture that somebody may read, and its file as an answer: what the API, a page and the original's call give alike."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from fastapi.responses import StreamingResponse

from parallelm.operations.captures import list_captures, open_capture
from parallelm.operations.errors import UnknownCaptureError
from parallelm.schemas.captures.names import download_name
from parallelm.server.api._readable import READ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.operations.captures import CaptureRecord
    from parallelm.server.access.principal import Principal

MEDIA_TYPE: Final = "application/x-tar"
_PIECE: Final = 256 * 1024


def readable_capture(
    settings: Settings, asking: Principal, capture_id: str, mlapp_id: str | None = None
) -> CaptureRecord:
    """The one of this id, of an MLApp; raises ``UnknownCaptureError``, also for what somebody may not read."""
    for each in list_captures(settings, mlapp_id):
        if each.capture_id == capture_id and asking.may(READ, each.mlapp_id):
            return each
    of = f" of MLApp {mlapp_id!r}" if mlapp_id else ""
    raise UnknownCaptureError(f"there is no capture {capture_id!r}{of}")


def capture_file(settings: Settings, record: CaptureRecord) -> StreamingResponse:
    """A tar, streamed from where captures are kept; raises as ``open_capture``, before anything is sent."""
    with ExitStack() as stack:
        _, file = stack.enter_context(open_capture(settings, record.capture_id))
        opened = stack.pop_all()

    def pieces() -> Iterator[bytes]:
        with opened:
            while piece := file.read(_PIECE):
                yield piece

    headers = {
        "Content-Length": str(record.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(download_name(record.name, record.mlapp_id))}",
        "ETag": f'"{record.sha256}"',
    }
    return StreamingResponse(pieces(), headers=headers, media_type=MEDIA_TYPE)
