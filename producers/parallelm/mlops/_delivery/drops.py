"""What was dropped, by reason: counted, logged at most once in 20 s, and reported when the way is clear."""

from __future__ import annotations

import logging
import threading
import time

_log = logging.getLogger("parallelm.mlops")

LOG_INTERVAL_S = 20.0

QUEUE_FULL = "queue_full"
"""The queue between callers and the sender thread, or librdkafka's behind it, was full: the broker was away too long."""
TOO_LARGE = "too_large"
"""One record above what a broker takes (1 MB)."""
NOT_DELIVERED = "not_delivered"
"""The broker refused the record."""
CLOSED = "closed"
"""Still waiting when ``done()`` or the interpreter's exit ran out of time."""
NOT_ENCODED = "not_encoded"
"""The record does not fit its schema."""
SPOOL_DAMAGED = "spool_damaged"
"""A segment of the spool was cut or damaged; counted once where nobody knows how many reports it held."""

METRIC = "mcenter.dropped"
"""Statistic that reports drops, with label ``reason``; the value is how many since the report before."""


class DropCounter:
    """Thread-safe counts."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._total: dict[str, int] = {}
        self._unreported: dict[str, int] = {}
        self._unlogged: dict[str, int] = {}
        self._last_log = -LOG_INTERVAL_S

    def add(self, reason: str, count: int, detail: str = "") -> None:
        """Count ``count`` samples or records as dropped."""
        if count <= 0:
            return
        with self._lock:
            for counts in (self._total, self._unreported, self._unlogged):
                counts[reason] = counts.get(reason, 0) + count
            now = time.monotonic()
            if now - self._last_log < LOG_INTERVAL_S and reason != CLOSED:
                return
            self._last_log = now
            told = ", ".join(f"{number} {why}" for why, number in sorted(self._unlogged.items()))
            self._unlogged.clear()
        _log.warning("reports dropped: %s%s", told, f" ({detail})" if detail else "")

    def total(self) -> dict[str, int]:
        """All drops of this process, by reason."""
        with self._lock:
            return dict(self._total)

    def take_unreported(self) -> dict[str, int]:
        """Drops since the last call, by reason."""
        with self._lock:
            taken, self._unreported = self._unreported, {}
            return taken
