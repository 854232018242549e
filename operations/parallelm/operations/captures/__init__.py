"""Timeline captures: an MLApp's state over a time range in one file, made in the background, stored, read and imported."""

from parallelm.operations.captures.background import follow_capture, start_capture
from parallelm.operations.captures.importing import ImportReport, checked_target, import_capture
from parallelm.operations.captures.keeping import (
    delete_capture,
    delete_expired,
    download_capture,
    find_capture,
    list_captures,
    open_capture,
)
from parallelm.operations.captures.makers import expires_at_ms
from parallelm.operations.captures.making import CaptureRequest, make_capture, new_capture
from parallelm.operations.captures.record import CaptureRecord, CaptureState

__all__ = [
    "CaptureRecord",
    "CaptureRequest",
    "CaptureState",
    "ImportReport",
    "checked_target",
    "delete_capture",
    "delete_expired",
    "download_capture",
    "expires_at_ms",
    "find_capture",
    "follow_capture",
    "import_capture",
    "list_captures",
    "make_capture",
    "new_capture",
    "open_capture",
    "start_capture",
]
