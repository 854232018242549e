"""Dropped reports by reason: counted, logged at most once in 20 s, and reported once delivery works again."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections.rate_limit import RateLimit

_log = logging.getLogger("parallelm.mlops")

QUEUE_FULL: Final = "queue_full"
"""The queue between callers and the sender thread, or librdkafka's behind it, was full: the broker was away too long."""
TOO_LARGE: Final = "too_large"
"""A record is larger than a broker accepts (1 MB)."""
NOT_DELIVERED: Final = "not_delivered"
"""The broker refused the record."""
CLOSED: Final = "closed"
"""Still waiting when ``done()`` or the interpreter's exit ran out of time."""
NOT_ENCODED: Final = "not_encoded"
"""The record does not fit its schema."""
SPOOL_DAMAGED: Final = "spool_damaged"
"""A segment of the spool was cut or damaged; counted once where the number of its reports is unknown."""

METRIC: Final = "mcenter.dropped"
"""Statistic that reports drops, with label ``reason``; its value is the number since the previous report."""

_NAMES_A_LINE: Final = 10
_NAMES_KEPT: Final = 1_000
_NAME_LENGTH: Final = 100


class _Unlogged:
    """Drops of one reason since the last line of the log."""

    def __init__(self) -> None:
        self.count = 0
        self.by_name: Counter[str] = Counter()
        self.detail = ""

    def add(self, reports: Mapping[str, int], count: int, detail: str) -> None:
        self.count += count
        self.detail = detail or self.detail
        for name, number in reports.items():
            if name in self.by_name or len(self.by_name) < _NAMES_KEPT:
                self.by_name[name] += number

    def line(self, reason: str) -> str:
        shown = self.by_name.most_common(_NAMES_A_LINE)
        named = [f"{number} x {name}" if number > 1 else name for name, number in shown]
        others = self.count - sum(number for _, number in shown)
        named += [f"{others} others"] if others and named else []
        what = f": {', '.join(named)}" if named else ""
        return f"{self.count} {reason}{what}" + (f" ({self.detail})" if self.detail else "")


class DropCounter:
    """Thread-safe counts."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._total: Counter[str] = Counter()
        self._unreported: Counter[str] = Counter()
        self._unlogged: dict[str, _Unlogged] = {}
        self._log_limit: RateLimit | None = None

    def add(self, reason: str, reports: Mapping[str, int], detail: str = "") -> None:
        """Count dropped reports: ``reports`` maps what they were (``named``) to how many; ``detail`` gives the cause."""
        count = sum(reports.values())
        if count <= 0:
            return
        with self._lock:
            self._total[reason] += count
            self._unreported[reason] += count
            self._unlogged.setdefault(reason, _Unlogged()).add(reports, count, detail)
            if self._log_limit is None:
                # Not at the top: programs that drop nothing, stand-alone ones above all, import less.
                from parallelm.connections.rate_limit import RateLimit

                self._log_limit = RateLimit()
            if self._log_limit.allows():
                self.log()

    def log(self) -> None:
        """Log the drops since the last log line."""
        with self._lock:
            if not self._unlogged:
                return
            lines = [unlogged.line(reason) for reason, unlogged in sorted(self._unlogged.items())]
            self._unlogged = {}
        _log.warning("reports dropped: %s", "; ".join(lines))

    def total(self) -> dict[str, int]:
        """All drops of this process, by reason."""
        with self._lock:
            return dict(self._total)

    def take_unreported(self) -> dict[str, int]:
        """Drops since the last call, by reason."""
        with self._lock:
            taken, self._unreported = self._unreported, Counter()
            return dict(taken)


def named(kind: str, name: str, size_bytes: int | None = None) -> str:
    """What a report is, as the log shows it."""
    shown = repr(name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}…")
    return f"{kind} {shown}" + ("" if size_bytes is None else f" of {size_bytes:,} bytes")
