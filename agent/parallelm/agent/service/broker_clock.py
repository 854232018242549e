"""What time it is by the brokers' clock, from the stamps that they give this agent's own heartbeats.

A record that was sent at ``sent_s`` and confirmed at ``confirmed_s`` was stamped somewhere between the two, so that each
heartbeat bounds the brokers' clock from both sides. The host's own clock may be wrong by years without effect.
Seconds are those of ``CLOCK_BOOTTIME``, which also counts while the host is suspended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

DRIFT: float = 200e-6
"""How far two clocks may part in a second; crystals keep 100 ppm."""


def boottime_s() -> float:
    """Seconds since the host was started, suspended ones included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class _Stamp:
    sent_s: float
    confirmed_s: float
    broker_ms: int

    def uncertainty_s(self, now_s: float) -> float:
        return self.confirmed_s - self.sent_s + DRIFT * (now_s - self.confirmed_s)


class BrokerClock:
    """Bounds of the brokers' time."""

    def __init__(self) -> None:
        self._best: _Stamp | None = None

    def stamped(self, sent_s: float, confirmed_s: float, broker_ms: int) -> None:
        """A record was sent, confirmed, and stamped in between."""
        stamp = _Stamp(sent_s, confirmed_s, broker_ms)
        if self._best is None or stamp.uncertainty_s(confirmed_s) <= self._best.uncertainty_s(confirmed_s):
            self._best = stamp

    @property
    def is_known(self) -> bool:
        """Whether anything is known."""
        return self._best is not None

    def latest_ms(self, now_s: float) -> int | None:
        """The latest that it may be; None when nothing is known."""
        if self._best is None:
            return None
        passed_s = now_s - self._best.sent_s + DRIFT * max(0.0, now_s - self._best.confirmed_s)
        return self._best.broker_ms + round(passed_s * 1000)
