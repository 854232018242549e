"""A lock on a file that the system releases when its process dies.

A forked child inherits the descriptor, and with it the lock, also when another thread had just taken it: the child would
hold it for as long as it lives. So every lock that is held is known here, and a child closes its copies at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


LOCK = ".lock"
"""Suffix of a file that locks what is beside it."""

_ATTEMPTS = 100
"""To lock a file that others keep removing."""

_guard = threading.Lock()
"""Held while a lock is taken: a fork waits for it."""
_held: set[FileLock] = set()


class FileLock:
    """Exclusive, between processes and within one; never waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False when another process or thread holds it."""
        with _guard:
            for _ in range(_ATTEMPTS):
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    _lock(descriptor)
                except OSError:
                    os.close(descriptor)
                    return False
                if self._is_at_its_path(descriptor):
                    self._descriptor = descriptor
                    _held.add(self)
                    return True
                # Removed by its last holder since it was opened: others lock another file.
                os.close(descriptor)
        return False

    def _is_at_its_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self, *, remove: bool = False) -> None:
        """Release it; with ``remove`` the file is deleted."""
        if self._descriptor is None:
            return
        _held.discard(self)
        if remove and sys.platform != "win32":
            self._path.unlink(missing_ok=True)
        _unlock(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None
        # Windows removes no open file, and none that another has just opened.
        if remove and sys.platform == "win32":
            with contextlib.suppress(OSError):
                self._path.unlink()

    def forget(self) -> None:
        """In a forked child: close the copy; the lock stays with the parent."""
        _held.discard(self)
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # the parent was just closing it
                os.close(self._descriptor)
            self._descriptor = None


def remove_unused(folder: Path, is_needed: Callable[[str], bool]) -> None:
    """Remove lock files that processes left when they were killed just before they removed them.

    ``is_needed`` tells, of a file's name without its suffix, whether what it locks is there.
    """
    for path in folder.glob(f"*{LOCK}"):
        name = path.name.removesuffix(LOCK)
        lock = FileLock(path)
        with contextlib.suppress(OSError):  # another user's
            if not is_needed(name) and lock.acquire():
                lock.release(remove=not is_needed(name))  # another may have made it and died since


def _after_fork_in_child() -> None:
    global _guard  # noqa: PLW0603 - one process, one guard
    _guard = threading.Lock()
    for lock in list(_held):
        lock.forget()


def _before_fork() -> None:
    _guard.acquire()  # the guard of the moment: a child has one of its own


def _after_fork_in_parent() -> None:
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
