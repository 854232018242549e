"""The data folder of a stack: its version, who used it last, and the lock that one supervisor at a time holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
from importlib import metadata
from typing import IO, TYPE_CHECKING

from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.kafka_jars import KAFKA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
"""Layout of the data folder; a newer one is refused, since an older Kafka or engine could destroy it."""

ARTIFACTS = "artifacts"
"""Folder of model files."""

MCENTER = "mcenter-stream"
_ENGINE = "chdb-core"
_VERSION_FILE = "VERSION"
_WHAT_TO_DO = "use the newer mcenter that wrote it, or name another folder with --data"

_FLOCK = "hhqqi"
"""C's struct flock on 64-bit Linux: type, whence, start, length, pid."""


def open_folder(folder: Path) -> None:
    """Make the folder if it is missing and check it; raises ``StackError`` (not writable, newer version)."""
    try:
        for part in ("logs", ARTIFACTS, "run"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        if not (folder / _VERSION_FILE).exists():
            stamp(folder)
        (folder / "run" / "writable").touch()
    except OSError as error:
        raise StackError(
            f"the data folder {folder} is not writable: {error}; name another with --data"
        ) from error
    check_version(folder)


def check_version(folder: Path) -> None:
    """Raise ``StackError`` when the folder was written by a newer version, or by newer stores than are installed."""
    layout, programs = _stamped(folder)
    if not layout.isdecimal() or int(layout) > VERSION:
        raise StackError(
            f"the data folder {folder} has version {layout[:40]!r}, this mcenter knows up to {VERSION}: {_WHAT_TO_DO}"
        )
    for name, ours in _programs().items():
        found = programs.get(name, ours)
        if _release(found) > _release(ours):
            raise StackError(
                f"the data folder {folder} was last used by {name} {found[:40]}, here is {ours}: {_WHAT_TO_DO}"
            )


def upgraded_from(folder: Path) -> str:
    """The older mcenter that used the folder last; empty where there was none."""
    _, programs = _stamped(folder)
    ours = _programs()[MCENTER]
    found = programs.get(MCENTER, ours)
    return found if _release(found) < _release(ours) else ""


def stamp(folder: Path) -> None:
    """Write down who uses the folder from now on: nothing older may any more."""
    text = "\n".join([str(VERSION), *(f"{name} {version}" for name, version in _programs().items()), ""])
    file, new = folder / _VERSION_FILE, folder / "run" / f"{_VERSION_FILE}.new"
    if not file.exists() or file.read_text(encoding="utf-8", errors="replace") != text:
        new.write_text(text, encoding="ascii")
        new.replace(file)


def _stamped(folder: Path) -> tuple[str, dict[str, str]]:
    """Layout of the folder, and the versions of the programs that used it last."""
    file = folder / _VERSION_FILE
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else str(VERSION)
    layout, *programs = text.splitlines() or [""]
    parted = (line.partition(" ") for line in programs)
    return layout.strip(), {name: version for name, _, version in parted}


def _programs() -> dict[str, str]:
    """What writes into the folder, and its versions as they are installed."""
    found = {MCENTER: metadata.version(MCENTER), "kafka": KAFKA_VERSION}
    with contextlib.suppress(metadata.PackageNotFoundError):  # a stack without ClickHouse
        found[_ENGINE] = metadata.version(_ENGINE)
    return found


def _release(version: str) -> tuple[int, ...]:
    """What decides who may follow whom: the first two numbers, so that a fix can be taken back."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version)[:2])


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
