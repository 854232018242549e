"""Who makes a capture, whether that process still lives, and how its record says how far it is."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from parallelm.operations.captures.record import CaptureState
from parallelm.operations.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.operations.captures.record import CaptureRecord
    from parallelm.operations.captures.store import CaptureStore

BEAT_S = 2.0
SILENT_S = 60.0
"""A maker on another host that has not reported for so long has ended."""
_DAY_MS = 86_400_000
_MOST = 0.99
"""Share until everything is stored."""


def now_ms() -> int:
    """The clock of records."""
    return time.time_ns() // 1_000_000


def by_this_process(record: CaptureRecord) -> CaptureRecord:
    """The record as one that this process makes."""
    started_at_s = psutil.Process().create_time()
    return replace(
        record, host=socket.gethostname(), pid=os.getpid(), started_at_s=started_at_s, updated_at_ms=now_ms()
    )


def observed(record: CaptureRecord, settings: Settings, at_ms: int) -> CaptureRecord:
    """The record as it is to be read: a maker that has ended has failed, and an old capture is gone."""
    if record.state is CaptureState.IN_PROGRESS and (reason := _why_ended(record, at_ms)):
        return replace(record, state=CaptureState.FAILED, reason=reason)
    goes_at_ms = expires_at_ms(record, settings)
    if record.state is CaptureState.COMPLETE and goes_at_ms is not None and goes_at_ms <= at_ms:
        return replace(record, state=CaptureState.EXPIRED)
    return record


def expires_at_ms(record: CaptureRecord, settings: Settings) -> int | None:
    """When the retention deletes it; None: never."""
    days = settings.captures.keep_days
    return record.created_at_ms + days * _DAY_MS if days else None


def _why_ended(record: CaptureRecord, at_ms: int) -> str:
    """Why it is not being made any more; empty while it may be."""
    who = f"its maker, process {record.pid} on {record.host}"
    if record.host == socket.gethostname() and not _is_running(record):
        return f"{who}, has ended without finishing it: take it again"
    silent_s = (at_ms - record.updated_at_ms) / 1000
    if silent_s > SILENT_S:
        return f"{who}, has not reported for {silent_s:.0f} s: take it again"
    return ""


def _is_running(record: CaptureRecord) -> bool:
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(float(process.create_time()) - record.started_at_s) < 1.0
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


class Progress:
    """Writes the record every other second while a capture is made, and notices when it was deleted."""

    def __init__(
        self,
        store: CaptureStore,
        record: CaptureRecord,
        on_progress: Callable[[CaptureRecord], None] | None = None,
    ) -> None:
        self._store = store
        self._on_progress = on_progress
        self._ended = threading.Event()
        self._deleted = False
        self._rows = 0
        self._total = 1
        self.record = by_this_process(record)
        self._thread = threading.Thread(target=self._beat, name="capture-progress", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._store.write_progress(self.record)
        self._thread.start()

    def stop(self) -> None:
        """Report no more."""
        self._ended.set()
        self._thread.join()

    def still_wanted(self) -> None:
        """Ask the store, and raise ``CaptureError`` when the capture was deleted."""
        self._deleted = self._deleted or not self._store.exists(self.record)
        self.alive()

    def expect(self, rows: int) -> None:
        """So many rows will be written."""
        self._total = max(1, rows)

    def step(self, name: str) -> None:
        """Something else is done from now on."""
        self.alive()
        self.record = replace(self.record, step=name)
        self._report()

    def rows(self, count: int) -> None:
        """So many more rows are written."""
        self.alive()
        self._rows += count
        self._report()

    def alive(self) -> None:
        """Raise ``CaptureError`` when the capture was deleted."""
        if self._deleted:
            raise CaptureError(f"capture {self.record.capture_id} was deleted while it was made")

    def _report(self) -> None:
        share = min(_MOST, self._rows / self._total)
        self.record = replace(self.record, share=max(self.record.share, round(share, 4)))
        if self._on_progress is not None:
            self._on_progress(self.record)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                if not self._store.exists(self.record):
                    self._deleted = True
                    return
                self._store.write_progress(replace(self.record, updated_at_ms=now_ms()))
            except CaptureError:
                continue  # the store is away; the next beat tries again, and readers notice a long silence
