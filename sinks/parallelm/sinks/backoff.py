"""How long to wait before the next attempt, and when to give up. Time is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from parallelm.sinks.errors import RetryLaterError, SinkError


@dataclass(slots=True)
class Backoff:
    """Attempts of one piece of work: waits double from ``first_s`` to ``longest_s``, for ``limit_s`` at most."""

    limit_s: float = math.inf
    first_s: float = 0.25
    longest_s: float = 10.0
    _failing_since_s: float | None = None
    _wait_s: float = 0.0
    _retry_at_s: float = 0.0
    _reason: str = ""

    def failing(self, now_s: float) -> tuple[float, str]:
        """For how many seconds attempts have failed, and the last reason; 0 when the last one succeeded."""
        since = self._failing_since_s
        return (0.0, "") if since is None else (now_s - since, self._reason)

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._failing_since_s is not None

    def waits(self, now_s: float) -> bool:
        """Whether the next attempt is not due yet."""
        return now_s < self._retry_at_s

    def failed(self, now_s: float, error: RetryLaterError) -> None:
        """Note a failed attempt; raises ``SinkError`` when it has failed for ``limit_s``."""
        self._reason = str(error)
        if self._failing_since_s is None:
            self._failing_since_s = now_s
            self._wait_s = self.first_s
        elif now_s - self._failing_since_s >= self.limit_s:
            raise SinkError(
                f"gave up after {now_s - self._failing_since_s:.0f} s: {error}. "
                "Nothing is lost: the sink continues where it stopped when it is started again"
            ) from error
        else:
            self._wait_s = min(self.longest_s, 2 * self._wait_s)
        self._retry_at_s = now_s + self._wait_s

    def succeeded(self) -> None:
        """Note an attempt that succeeded."""
        self._failing_since_s = None
        self._retry_at_s = 0.0
