"""How often the same thing is logged: an unavailable server is tried many times a second, and reported once in 20 s."""

from __future__ import annotations

import time
from typing import Final

LOG_INTERVAL_S: Final = 20.0


class RateLimit:
    """Allows one log line an interval. Threads that ask at the same moment may both be allowed."""

    __slots__ = ("_allowed_at_s", "_interval_s")

    def __init__(self, interval_s: float = LOG_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._allowed_at_s = float("-inf")

    def allows(self) -> bool:
        """Whether the interval since the last line is over; the next one starts now if it is."""
        now_s = time.monotonic()
        if now_s - self._allowed_at_s < self._interval_s:
            return False
        self._allowed_at_s = now_s
        return True
