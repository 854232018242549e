"""A log file that never takes more than twice its limit: the part before the last one is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 8_000_000


class BoundedLog:
    """Appends to ``path``; beyond ``max_bytes`` the file becomes ``<path>.1`` and a new one begins."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._file = path.open("ab")

    def write(self, chunk: bytes) -> None:
        """Append ``chunk`` and hand it to the operating system."""
        self._file.write(chunk)
        self._file.flush()
        if self._file.tell() > self._max_bytes:
            self._file.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file = self._path.open("ab")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
