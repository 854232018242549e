"""Signals of zygote and keepers. They are set up in the zygote, and keepers inherit that."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_TERMINATED: list[int] = []
_NOTED: list[int] = []
_DO_NOTHING: Any = {}.get
"""The descriptor of wake-ups is written to; what is no code of Python takes no memory of its own."""


def set_up() -> None:
    """Wake up for children and requests, note SIGTERM, and ignore what a terminal sends."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGCHLD, _DO_NOTHING)
    signal.signal(signal.SIGUSR1, _ask)
    signal.signal(signal.SIGTERM, _terminate)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def wake_descriptor() -> int:
    """A descriptor that is readable when this process got a signal."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def close_wake_descriptor(reader: int) -> None:
    """Close what ``wake_descriptor`` has made."""
    os.close(signal.set_wakeup_fd(-1))
    os.close(reader)


def is_terminated() -> bool:
    """Whether it was sent SIGTERM."""
    return bool(_TERMINATED)


def has_noted() -> bool:
    """Whether the agent has asked for something, or somebody for its end, since the last call."""
    was_noted = bool(_NOTED)
    if was_noted:
        _NOTED.clear()
    return was_noted


def set_back() -> None:
    """As programs expect them."""
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGCHLD,
        signal.SIGUSR1,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):
        signal.signal(number, signal.SIG_DFL)


def _ask(number: int, _frame: FrameType | None) -> None:
    _NOTED.append(number)


def _terminate(number: int, _frame: FrameType | None) -> None:
    _TERMINATED.append(number)
    _NOTED.append(number)
