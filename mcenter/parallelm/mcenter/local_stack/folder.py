"""The data folder of a stack: its version, and the lock that one supervisor at a time holds."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import IO, TYPE_CHECKING

from parallelm.mcenter.local_stack.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
"""Layout of the data folder; a newer one is refused, since an older Kafka or engine could destroy it."""

ARTIFACTS = "artifacts"
"""Folder of model files."""

_FLOCK = "hhqqi"
"""C's struct flock on 64-bit Linux: type, whence, start, length, pid."""


def open_folder(folder: Path) -> None:
    """Make the folder if it is missing and check it; raises ``StackError`` (not writable, newer version)."""
    try:
        for part in ("logs", ARTIFACTS, "run"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        version = folder / "VERSION"
        if not version.exists():
            version.write_text(f"{VERSION}\n", encoding="ascii")
        (folder / "run" / "writable").touch()
    except OSError as error:
        raise StackError(
            f"the data folder {folder} is not writable: {error}; name another with --data"
        ) from error
    check_version(folder)


def check_version(folder: Path) -> None:
    """Raise ``StackError`` when the folder was written by a newer version."""
    version = folder / "VERSION"
    found = (
        version.read_text(encoding="utf-8", errors="replace").strip() if version.exists() else str(VERSION)
    )
    if not found.isdecimal() or int(found) > VERSION:
        raise StackError(
            f"the data folder {folder} has version {found[:40]!r}, this mcenter knows up to {VERSION}: use the newer "
            "mcenter that wrote it, or name another folder with --data"
        )


class FolderLock:
    """An exclusive lock on the folder; the kernel drops it when the holder dies and shows everybody the holder's pid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "run" / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock for this process; raises ``StackError`` that names the holder."""
        file = self._path.open("a+", encoding="ascii")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise self._in_use() from error
        self._file = file

    def check(self) -> None:
        """Raise ``StackError`` when another process holds the lock."""
        if self.holder() is not None:
            raise self._in_use()

    def release(self) -> None:
        """Drop the lock."""
        if self._file:
            self._file.close()
            self._file = None

    def holder(self) -> int | None:
        """Pid of the supervisor that holds the lock, or None. Not for the holder itself, whose lock it would drop."""
        try:
            with self._path.open("r", encoding="ascii") as file:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except FileNotFoundError:
            return None
        return None if kind == fcntl.F_UNLCK else int(pid)

    def _in_use(self) -> StackError:
        return StackError(
            f"the data folder {self._folder} is in use by the stack of pid {self.holder()}; stop it with "
            f"`mcenter down --data {self._folder}`, or name another folder with --data"
        )
