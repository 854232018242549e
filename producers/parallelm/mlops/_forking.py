"""Forks wait while a thread of the library imports modules.

A child forked in the middle would find a half-imported module for ever: the thread that would finish it is not there.
"""

from __future__ import annotations

import os
import threading

_LIMIT_S = 5.0


class _NoFork:
    """``with no_fork:`` around imports in threads of the library."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held_by_fork = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Wait, but never for ever: the fork may stand inside an import that the thread waits for."""
        self._held_by_fork = self._lock.acquire(timeout=_LIMIT_S)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held_by_fork:
            self._held_by_fork = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """No thread of the library is here yet."""
        self._lock = threading.Lock()
        self._held_by_fork = False


no_fork = _NoFork()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=no_fork.before_fork,
        after_in_parent=no_fork.after_fork_in_parent,
        after_in_child=no_fork.after_fork_in_child,
    )
