"""A timer on CLOCK_BOOTTIME, which counts the time that a host is suspended: it is due at once when the host wakes up."""

from __future__ import annotations

import contextlib
import os
import time

from parallelm.agent.keeping.linux import create_timer, set_timer


def boot_time_s() -> float:
    """Seconds since the boot, with those in which the host was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class BootTimer:
    """A descriptor that is readable from the set time on; there is none before one is set."""

    def __init__(self) -> None:
        self.descriptor = create_timer(time.CLOCK_BOOTTIME)
        """To poll."""
        self._at_s: float | None = None

    def set(self, at_s: float | None) -> None:
        """Be due at ``at_s``, or never."""
        if at_s == self._at_s:
            return
        self._at_s = at_s
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 8)
        # One that is over is due at once.
        set_timer(self.descriptor, 0 if at_s is None else max(1, int(at_s * 1e9)))
