"""Forks wait while a thread of the library imports modules or connects for the first time.

A child forked in the middle of an import is left with a half-imported module, since the thread that would finish it does
not exist there. A child forked while librdkafka looks up a broker's address inherits a held lock of glibc's
``getaddrinfo`` (that of ``__check_pf``), so its own client could never connect. Later look-ups, after a lost connection
or for further brokers of a cluster, take about 0.1 ms each and are not guarded.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT_S = 5.0
_CONNECT_LIMIT_S = 0.5
_POLL_S = 0.002


class _NoFork:
    """``with no_fork:`` around imports in threads of the library."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._held_by_fork = False
        self._connecting: Callable[[], bool] = bool
        self._connecting_until = 0.0

    def connecting(self, connecting: Callable[[], bool]) -> None:
        """A client starts to connect: forks wait while ``connecting()`` is true, 0.5 s at most."""
        self._connecting = connecting
        self._connecting_until = time.monotonic() + _CONNECT_LIMIT_S

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        """Wait with a time limit: the forking thread may itself be inside an import that the library's thread waits for."""
        while True:
            self._held_by_fork = self._lock.acquire(timeout=_LIMIT_S)
            if not self._connecting() or time.monotonic() > self._connecting_until:
                return
            self.after_fork_in_parent()  # connecting may need an import first
            time.sleep(_POLL_S)

    def after_fork_in_parent(self) -> None:
        """Let imports continue."""
        if self._held_by_fork:
            self._held_by_fork = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """Reset: the child has no thread of the library yet. Outputs call it as well, since hooks have no order."""
        if os.getpid() == self._process:
            return
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._held_by_fork = False
        self._connecting = bool


no_fork = _NoFork()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=no_fork.before_fork,
        after_in_parent=no_fork.after_fork_in_parent,
        after_in_child=no_fork.after_fork_in_child,
    )
