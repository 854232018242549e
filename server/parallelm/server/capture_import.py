"""A capture that somebody has uploaded, imported by a task of the server; for the API and the page."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from parallelm.operations.captures import checked_target, import_capture
from parallelm.schemas.captures import CaptureArchive
from parallelm.schemas.errors import CaptureFileError
from parallelm.server import background
from parallelm.server.accounts.tasks import Order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.operations.authors import Author
    from parallelm.server.background import Report
    from parallelm.server.context import ServerContext

KIND: Final = "import_capture"


def begin(context: ServerContext, sent: IO[bytes], mlapp_id: str, who: Author) -> str:
    """Begin to import it under an MLApp's id; the task's id.

    Raises ``CaptureError`` for what is no id of an MLApp, ``CaptureFileError`` for a file that is no capture, and ``TaskGoesOnError``.
    """
    checked_target(mlapp_id)
    file = _kept(sent)

    def work(report: Report) -> Mapping[str, Any]:
        try:
            done = import_capture(context.settings, file, who=who, mlapp_id=mlapp_id, on_progress=report)
        finally:
            file.unlink(missing_ok=True)
        return dataclasses.asdict(done)

    try:
        with CaptureArchive(file) as archive:
            about = archive.manifest.capture_id if archive.manifest else "of the original platform"
    except CaptureFileError as error:
        file.unlink(missing_ok=True)
        raise CaptureFileError(str(error).replace(repr(str(file)), "the file")) from error
    try:
        order = Order(kind=KIND, about=f"capture {about}", asked_by=who.name, mlapp_id=mlapp_id)
        return background.begin(context.database, order, work)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _kept(sent: IO[bytes]) -> Path:
    """In a file that is there when the request is over."""
    with NamedTemporaryFile(prefix="mcenter-import-", suffix=".tar", delete=False) as kept:
        shutil.copyfileobj(sent, kept)
    return Path(kept.name)
