"""How many lines of a run go to the topic. Pure."""

from __future__ import annotations

_BURST_S = 5.0


class LogLimit:
    """``lines_per_second`` on average, and as many at once as come in some seconds."""

    def __init__(self, lines_per_second: int, now_s: float) -> None:
        self._rate = lines_per_second
        self._left = lines_per_second * _BURST_S
        self._at_s = now_s

    def take(self, wanted: int, now_s: float) -> int:
        """How many of ``wanted`` lines may go now."""
        full = self._rate * _BURST_S
        self._left = min(full, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        taken = min(wanted, int(self._left))
        self._left -= taken
        return taken
