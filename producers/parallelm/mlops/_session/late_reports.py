"""Reports of daemon threads, finalizers and exit hooks after the library's own exit hook has closed it."""

from __future__ import annotations

import logging
from itertools import count

_log = logging.getLogger("parallelm.mlops")

_REASON = "interpreter_ends"


class LateReports:
    """Counts late reports, and logs the first. Takes no lock, since the interpreter stops daemon threads at any point.

    A thread that was stopped while it held a lock would block the main thread's finalizers indefinitely.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._count = 0

    def add(self) -> None:
        """Count one."""
        self._count = next(self._numbers)
        if self._count == 1:
            _log.warning(
                "reports are dropped from now on: the interpreter is ending, and the library is closed"
            )

    def dropped(self) -> dict[str, int]:
        """Number of late reports, by their reason."""
        return {_REASON: self._count} if self._count else {}
