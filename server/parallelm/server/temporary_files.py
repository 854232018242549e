"""The temporary files of a server's process, in a folder of its own: what a killed one has left goes when the next one starts."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "mcenter-server-"


@contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Have ``tempfile`` make all files of this process in a new folder, which goes at the end of the block.

    Folders of processes of this user that have ended without that go before. A lock, which ends with its process, says which
    ones are in use.
    """
    before = tempfile.gettempdir()
    for left in Path(before).glob(f"{_PREFIX}*"):
        if left.is_dir() and not left.is_symlink() and left.stat().st_uid == os.getuid():
            _remove_unused(left)
    folder, lock = _locked_folder()
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else another process that starts has taken it for one that was left
            return folder, lock
        os.close(lock)


def _remove_unused(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # another process that starts has removed it
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
