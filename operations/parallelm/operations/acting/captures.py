"""Timeline captures: taken, followed, deleted and imported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import ms_of, path_of
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.acting.tasks import followed
from parallelm.operations.captures import (
    CaptureRecord,
    CaptureRequest,
    CaptureState,
    ImportReport,
    delete_capture,
    delete_expired,
    follow_capture,
    import_capture,
    start_capture,
)
from parallelm.operations.errors import OperationError
from parallelm.schemas.captures import CaptureArchive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.operations.captures.importing.run import OnProgress

_POLL_S: Final = 1.0
_UPLOAD_S: Final = 600.0


class CaptureActions(Protocol):
    """Raises ``OperationError`` and what ClickHouse's driver raises."""

    def create(self, mlapp_id: str, start: str, end: str, *, name: str) -> CaptureRecord:
        """Begin to take one."""

    def follow(self, record: CaptureRecord) -> Iterator[CaptureRecord]:
        """The record as it changes, until it is complete or has failed."""

    def delete(self, beginning: str) -> CaptureRecord:
        """Delete the one whose id begins so."""

    def import_file(self, file: Path, mlapp_id: str, on_progress: OnProgress) -> ImportReport:
        """Make the history in a capture readable, under this MLApp's id or, where that is empty, its own."""

    def delete_expired(self) -> Sequence[CaptureRecord]:
        """Delete those that are older than the retention allows."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def create(self, mlapp_id: str, start: str, end: str, *, name: str) -> CaptureRecord:
        wanted = CaptureRequest(mlapp_id=mlapp_id, start=start, end=end, who=self._author, name=name)
        return start_capture(self._settings, wanted)

    def follow(self, record: CaptureRecord) -> Iterator[CaptureRecord]:
        return follow_capture(self._settings, record)

    def delete(self, beginning: str) -> CaptureRecord:
        return delete_capture(self._settings, beginning, who=self._author)

    def import_file(self, file: Path, mlapp_id: str, on_progress: OnProgress) -> ImportReport:
        return import_capture(
            self._settings, file, who=self._author, mlapp_id=mlapp_id, on_progress=on_progress
        )

    def delete_expired(self) -> Sequence[CaptureRecord]:
        return delete_expired(self._settings, who=self._author)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def create(self, mlapp_id: str, start: str, end: str, *, name: str) -> CaptureRecord:
        asked = {"from": start, "to": end, "name": name}
        return _record(self._server.post(path_of("mlapps", mlapp_id, "captures"), json=asked))

    def follow(self, record: CaptureRecord) -> Iterator[CaptureRecord]:
        while True:
            found = self._find(record.mlapp_id, record.capture_id)
            yield found
            if found.state is not CaptureState.IN_PROGRESS:
                return
            time.sleep(_POLL_S)

    def delete(self, beginning: str) -> CaptureRecord:
        meant = self._server.get(path_of("capture-ids"), {"prefix": beginning})
        record = self._find(meant["mlapp_id"], meant["capture_id"])
        self._server.delete(path_of("mlapps", record.mlapp_id, "captures", record.capture_id))
        return record

    def import_file(self, file: Path, mlapp_id: str, on_progress: OnProgress) -> ImportReport:
        with CaptureArchive(file) as archive:
            own = archive.manifest.mlapp_id if archive.manifest else ""
        with file.open("rb") as opened:
            begun = self._server.post(
                path_of("mlapps", mlapp_id or own or "unknown", "capture-imports"),
                files={"file": (file.name, opened, "application/x-tar")},
                answer_s=_UPLOAD_S,
            )
        return ImportReport(**followed(self._server, begun, on_progress))

    def delete_expired(self) -> Sequence[CaptureRecord]:
        raise OperationError(
            "a server deletes what is kept no longer by itself, whenever a capture is taken; name the captures to delete"
        )

    def _find(self, mlapp_id: str, capture_id: str) -> CaptureRecord:
        return _record(self._server.get(path_of("mlapps", mlapp_id, "captures", capture_id)))


def _record(found: dict[str, Any]) -> CaptureRecord:
    same = (
        "capture_id",
        "name",
        "mlapp_id",
        "created_by",
        "step",
        "reason",
        "size_bytes",
        "sha256",
        "rows",
    )
    return CaptureRecord(
        **{name: found[name] for name in same},
        share=found["progress"],
        start_ms=ms_of(found["start"]),
        end_ms=ms_of(found["end"]),
        created_at_ms=ms_of(found["created_at"]),
        state=CaptureState(found["state"]),
    )


capture_actions: Final = Ways[CaptureActions](_Here, _ByServer)
"""``capture_actions(settings, who)``."""
