"""Calls of Linux that Python has not, looked up once: before keepers are forked."""

from __future__ import annotations

import ctypes
import os
import signal

_LIBC = ctypes.CDLL(None, use_errno=True)
_PRCTL = _LIBC["prctl"]
_PRCTL.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_PRCTL_OF_KEEPER = _LIBC["prctl"]
"""Without types, whose conversions take memory of each keeper."""
_TIMERFD_SETTIME = _LIBC.timerfd_settime
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TFD_TIMER_ABSTIME = 1


def become_reaper() -> None:
    """Have all processes below this one become its children when their parents end."""
    _PRCTL_OF_KEEPER(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Be killed when the parent ends; at once when it has ended already."""
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def create_timer(clock: int) -> int:
    """A timer's descriptor."""
    descriptor: int = _LIBC.timerfd_create(clock, os.O_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return descriptor


def set_timer(descriptor: int, at_ns: int) -> None:
    """Have it be due at a time of its clock; 0: never."""
    value = (ctypes.c_long * 4)(0, 0, at_ns // 1_000_000_000, at_ns % 1_000_000_000)
    if _TIMERFD_SETTIME(descriptor, _TFD_TIMER_ABSTIME, value, None):
        raise OSError(ctypes.get_errno(), "timerfd_settime")
