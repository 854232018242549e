"""A capture that is made by a process of its own: it outlives who asked for it, and its memory is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from typing import IO, TYPE_CHECKING, cast, get_type_hints

import psutil

from parallelm.connections import Settings
from parallelm.operations.captures.keeping import delete_expired, find_capture
from parallelm.operations.captures.making import make_capture, new_capture
from parallelm.operations.captures.record import CaptureState, parse_record
from parallelm.operations.captures.store import CaptureStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.operations.captures.making import CaptureRequest
    from parallelm.operations.captures.record import CaptureRecord


_FRUGAL = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Memory that was freed is used again: less than with pools by a fifth."""
_POLL_S = 0.2


def start_capture(settings: Settings, request: CaptureRequest) -> CaptureRecord:
    """Begin to make a capture, and return its record at once; those that are kept no longer go. Raises as ``new_capture``.

    The settings go through a pipe: the process needs no file, and no command line shows a password.
    """
    record = new_capture(settings, request)
    order = json.dumps({"settings": asdict(settings), "record": record.to_json()}).encode()
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=os.environ | _FRUGAL,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    made_by = replace(record, pid=process.pid, started_at_s=psutil.Process(process.pid).create_time())
    CaptureStore(settings).write(made_by)
    with cast("IO[bytes]", process.stdin) as pipe:
        pipe.write(order)
    # A process whose end nobody takes note of stays in the system's list.
    threading.Thread(target=process.wait, name="capture-maker", daemon=True).start()
    delete_expired(settings, who=request.who)
    return made_by


def follow_capture(settings: Settings, record: CaptureRecord) -> Iterator[CaptureRecord]:
    """The record as it changes while the capture is made; the last one is complete or says why it failed.

    Raises ``UnknownCaptureError`` when it was deleted meanwhile, and as ``find_capture``.
    """
    while True:
        found = find_capture(settings, record.capture_id)
        yield found
        if found.state is not CaptureState.IN_PROGRESS:
            return
        time.sleep(_POLL_S)


def _settings(given: dict[str, dict[str, object]]) -> Settings:
    return Settings(**{name: kind(**given[name]) for name, kind in get_type_hints(Settings).items()})


def main() -> None:
    """Make the capture that standard input orders."""
    order = json.load(sys.stdin)
    make_capture(_settings(order["settings"]), parse_record(order["record"]))


if __name__ == "__main__":
    main()
