"""The data folder belongs to one process: chdb itself does not look."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DataFolderError(Exception):
    """The data folder cannot be used; the message says why."""


def claim(folder: Path) -> int:
    """Make the folder if need be and lock it for as long as this process lives; returns the lock's file descriptor."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "mcenter-engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataFolderError(f"data folder {folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise DataFolderError(f"data folder {folder} is in use by the engine with pid {owner}") from None
    # The pid only helps whoever comes second, so a full disk does not prevent the start.
    with contextlib.suppress(OSError):
        os.pwrite(lock, f"{os.getpid():<20}".encode(), 0)
    return lock
