"""Ends a worker that cannot end itself: one whose event loop hangs, that makes no progress, or whose stop hangs."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

LOOP_LIMIT_S = 30
"""An event loop that has not run for so long does not run again."""
STOP_LIMIT_S = 10
EXIT_STATUS = 1


class Watchdog(threading.Thread):
    """Counts seconds of its own: a process that was paused as a whole is given time again when it goes on."""

    def __init__(self, stuck: Callable[[], str]) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._stuck = stuck
        self._beat = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def beat(self) -> None:
        """The event loop runs."""
        self._beat.set()

    def stopping(self) -> None:
        """From here on the process has ``STOP_LIMIT_S`` to end."""
        self._stopping.set()

    def ended(self) -> None:
        """It has ended by itself."""
        self._ended.set()

    def run(self) -> None:
        """Watch until it has ended."""
        silent = stopping = 0
        while not self._ended.wait(1.0):
            silent = 0 if self._beat.is_set() else silent + 1
            self._beat.clear()
            stopping = stopping + 1 if self._stopping.is_set() else 0
            if stopping > STOP_LIMIT_S:
                _end("the worker did not stop in time", dump=False)
            if silent > LOOP_LIMIT_S:
                _end(f"the event loop has not run for {LOOP_LIMIT_S} s", dump=True)
            reason = self._stuck()
            if reason:
                _end(reason, dump=False)


def _end(why: str, *, dump: bool) -> None:
    logger.error("%s: ended hard, so that another worker takes over", why)
    if dump:
        faulthandler.dump_traceback(file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_STATUS)
