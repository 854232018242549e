"""A log file that never takes more than twice its limit: the part before the last one is dropped."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 8_000_000


class BoundedLog:
    """Appends to ``path``; beyond ``max_bytes`` the file becomes ``<path>.1`` and a new one begins."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``; on a full disk it is lost, since a log must not end the process it describes."""
        with contextlib.suppress(OSError):
            self._file.write(chunk)
            if self._file.tell() > self._max_bytes:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._file.close()
                self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
