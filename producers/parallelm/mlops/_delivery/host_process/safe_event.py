"""An event for what signal handlers do: ``threading.Event`` has a lock that its own thread cannot take twice.

A handler that comes in the middle of ``set`` or ``wait`` and calls either would wait for the code that it has interrupted.
"""

from __future__ import annotations

import contextlib
import threading


class SafeEvent:
    """Set once; ``set`` and ``wait`` may be called by a signal handler in the middle of the same calls."""

    def __init__(self) -> None:
        self._is_set = False
        self._unset = threading.Lock()
        """Held until it is set, by nobody in particular: waiting for it has no state that a handler could find half changed."""
        self._unset.acquire()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    def set(self) -> None:
        """Let all who wait go on."""
        self._is_set = True
        self._release()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is set; False on time-out."""
        if not self._is_set and self._unset.acquire(timeout=max(timeout_s, 0.0)):
            self._release()  # for whoever waits beside
        return self._is_set

    def _release(self) -> None:
        with contextlib.suppress(RuntimeError):  # another has just released it
            self._unset.release()
