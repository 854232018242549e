"""A timer on CLOCK_BOOTTIME, which counts the time that a host is suspended: it is due at once when the host wakes up."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time

_TFD_TIMER_ABSTIME = 1
_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_LIBC = ctypes.CDLL(None, use_errno=True)


def boot_time_s() -> float:
    """Seconds since the boot, with those in which the host was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class BootTimer:
    """A descriptor that is readable from the set time on."""

    def __init__(self) -> None:
        self._descriptor: int = _LIBC.timerfd_create(time.CLOCK_BOOTTIME, _FLAGS)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._at_s: float | None = None

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def set(self, at_s: float | None) -> None:
        """Be due at ``at_s``, or never."""
        if at_s == self._at_s:
            return
        self._at_s = at_s
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, 8)
        # A time of 0 disarms it; one that is over is due at once.
        ns = 0 if at_s is None else max(1, int(at_s * 1e9))
        value = (ctypes.c_long * 4)(0, 0, ns // 1_000_000_000, ns % 1_000_000_000)
        if _LIBC.timerfd_settime(self._descriptor, _TFD_TIMER_ABSTIME, value, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
