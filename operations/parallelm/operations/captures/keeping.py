"""Captures that there are: list, look at, download and delete them, by hand or by the retention."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from parallelm.operations.actions import new_action, record_action
from parallelm.operations.captures.makers import expires_at_ms, now_ms, observed
from parallelm.operations.captures.record import CaptureState
from parallelm.operations.captures.store import CaptureStore
from parallelm.operations.errors import CaptureError, CaptureStateError
from parallelm.schemas.captures.names import download_name
from parallelm.schemas.well_known import DELETE_CAPTURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.operations.captures.record import CaptureRecord

_CHUNK_BYTES = 1 << 20


def list_captures(settings: Settings, mlapp_id: str | None = None) -> list[CaptureRecord]:
    """Captures of an MLApp, or all, the latest first. Raises ``CaptureError`` when the store does not answer."""
    at_ms = now_ms()
    return [observed(each, settings, at_ms) for each in CaptureStore(settings).records(mlapp_id)]


def find_capture(settings: Settings, beginning: str) -> CaptureRecord:
    """The capture whose id begins so; raises ``UnknownCaptureError`` for none or several."""
    return observed(CaptureStore(settings).find(beginning), settings, now_ms())


@contextmanager
def open_capture(settings: Settings, beginning: str) -> Iterator[tuple[CaptureRecord, IO[bytes]]]:
    """The file of a complete capture, to read; raises ``CaptureStateError`` for any other, and as ``find_capture``."""
    record = find_capture(settings, beginning)
    if record.state is not CaptureState.COMPLETE:
        why = {
            CaptureState.IN_PROGRESS: f"is being made ({record.share:.0%})",
            CaptureState.FAILED: f"has failed: {record.reason}",
            CaptureState.EXPIRED: "is gone: it is older than the retention allows",
        }[record.state]
        raise CaptureStateError(f"capture {record.capture_id} {why}")
    with CaptureStore(settings).open_to_read(record) as file:
        yield record, file


def download_capture(
    settings: Settings,
    beginning: str,
    folder: Path,
    *,
    file_name: str = "",
    on_bytes: Callable[[int], None] | None = None,
) -> Path:
    """Copy a capture into a folder, and return the file; its checksum holds.

    Without a name it is the original's ``timeline_capture_<name>_<MLApp>.tar``. Raises ``CaptureError`` when there is such
    a file, or what is stored is not what was made; and as ``open_capture``.
    """
    with open_capture(settings, beginning) as (record, source):
        target = folder / (file_name or download_name(record.name, record.mlapp_id))
        if target.exists():
            raise CaptureError(f"{target} exists: remove it, or name another file")
        part, digest = target.with_name(f"{target.name}.part"), hashlib.sha256()
        try:
            with part.open("wb") as out:
                while chunk := source.read(_CHUNK_BYTES):
                    out.write(chunk)
                    digest.update(chunk)
                    if on_bytes is not None:
                        on_bytes(len(chunk))
            if digest.hexdigest() != record.sha256:
                raise CaptureError(
                    f"capture {record.capture_id} is not as it was made: its SHA-256 is {digest.hexdigest()}, "
                    f"its record has {record.sha256}; take it again"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return target


def delete_capture(settings: Settings, beginning: str, *, who: Author) -> CaptureRecord:
    """Delete a capture, and return what it was; one that is being made is given up. The audit log gets an action.

    Raises as ``find_capture`` and ``record_action``.
    """
    record = find_capture(settings, beginning)
    _delete(settings, CaptureStore(settings), record, who)
    return record


def delete_expired(settings: Settings, *, who: Author) -> list[CaptureRecord]:
    """Delete the captures that are older than the retention allows, also failed ones, and return what they were.

    ``who`` asked for it, or for what it comes with. Raises as ``list_captures`` and ``record_action``.
    """
    at_ms = now_ms()
    store = CaptureStore(settings)
    gone = []
    for record in store.records():
        # Another process may have deleted it since it was listed.
        if _is_expired(record, settings, at_ms) and store.exists(record):
            _delete(settings, store, record, who, "older than the retention allows")
            gone.append(record)
    return gone


def _delete(
    settings: Settings, store: CaptureStore, record: CaptureRecord, who: Author, comment: str = ""
) -> None:
    action = new_action(
        DELETE_CAPTURE,
        record.mlapp_id,
        who=who,
        comment=comment,
        target=record.capture_id,
        parameters={"name": record.name},
    )
    record_action(settings, action)
    store.delete(record)


def _is_expired(record: CaptureRecord, settings: Settings, at_ms: int) -> bool:
    goes_at_ms = expires_at_ms(record, settings)
    return (
        goes_at_ms is not None
        and goes_at_ms <= at_ms
        and observed(record, settings, at_ms).state is not CaptureState.IN_PROGRESS
    )
