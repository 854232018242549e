"""Ends a process that cannot end itself: one whose loop hangs, that makes no progress, or whose stop hangs."""

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
"""A loop that has not run for so long does not run again."""
STOP_LIMIT_S = 10
EXIT_STATUS = 1
_TOO_SLOW = "the process did not stop in time"


class Watchdog(threading.Thread):
    """Counts seconds of its own: a process that was paused as a whole is given time again when it goes on."""

    def __init__(
        self,
        stuck: Callable[[], str] = lambda: "",
        *,
        failure: Callable[[], str] = lambda: "",
        what: str = "the event loop",
        loop_limit_s: int = LOOP_LIMIT_S,
        stop_limit_s: int = STOP_LIMIT_S,
    ) -> None:
        """``stuck`` says why there is no progress, ``failure`` why the process stops, when that is so; ``what`` beats."""
        super().__init__(name="watchdog", daemon=True)
        self._stuck = stuck
        self._failure = failure
        self._what = what
        self._loop_limit_s = loop_limit_s
        self._stop_limit_s = stop_limit_s
        self._beat = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def beat(self) -> None:
        """The loop runs."""
        self._beat.set()

    def stopping(self) -> None:
        """From here on the process has ``stop_limit_s`` to end."""
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
            if stopping > self._stop_limit_s:
                failure = self._failure()
                _end(f"{failure}; {_TOO_SLOW}" if failure else _TOO_SLOW, dump=False)
            if silent > self._loop_limit_s:
                _end(f"{self._what} has not run for {self._loop_limit_s} s", dump=True)
            reason = self._stuck()
            if reason:
                _end(reason, dump=False)


def _end(why: str, *, dump: bool) -> None:
    logger.error("%s: ended hard, so that another process takes over", why)
    if dump:
        faulthandler.dump_traceback(file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_STATUS)
