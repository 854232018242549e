"""The file of a capture as an answer: what the API, a page and the original's call give alike."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from fastapi.responses import StreamingResponse

from parallelm.operations.captures import open_capture
from parallelm.schemas.captures.names import download_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from parallelm.operations.captures import CaptureRecord

MEDIA_TYPE: Final = "application/x-tar"
_PIECE: Final = 256 * 1024


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
