"""A disk that runs full: a tmpfs of its own, which needs root."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mount a tmpfs on ``folder``; False where that is not permitted."""
    folder.mkdir()
    mounted = _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()) == 0
    try:
        yield mounted
    finally:
        if mounted:
            _libc.umount2(os.fsencode(folder), _DETACH)


@contextmanager
def filled(folder: Path, *, but_bytes: int) -> Iterator[None]:
    """Fill the disk of ``folder``, all ``but_bytes`` of it."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb") as file, suppress(OSError):
            free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
            os.posix_fallocate(file.fileno(), 0, max(1, free - but_bytes))
        yield
    finally:
        ballast.unlink()
