"""Sends the reports of a multiprocessing worker before it ends.

Such processes run no ``atexit`` hooks. They run the finalizers of ``multiprocessing.util`` when their function returns,
and end by SIGTERM when their pool is terminated, which is how ``with Pool(…)`` ends. Workers of gunicorn and the like
handle SIGTERM themselves, and run ``atexit`` hooks. Nothing can be done about SIGKILL and ``os._exit``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_watch: _SigtermWatch | None = None


def close_before_worker_ends(close: Callable[[], object], limit_s: float) -> None:
    """Call ``close`` before this process ends, if it is a worker of multiprocessing.

    ``close`` may be called in any thread, and takes ``limit_s`` at most.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _is_worker():
        util.Finalize(None, close, exitpriority=0)
        _close_at_sigterm(close, limit_s)


def close_before_forked_worker_ends(owner: object, close: Callable[[], object], limit_s: float) -> None:
    """The same for a child that was just forked and that may become a multiprocessing worker.

    multiprocessing clears all finalizers first. ``close`` is called only while ``owner`` exists.
    """
    process = os.getpid()

    def made_a_worker(_owner: object) -> None:
        if os.getpid() == process:
            close_before_worker_ends(close, limit_s)

    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.register_after_fork(owner, made_a_worker)


def _is_worker() -> bool:
    from multiprocessing.process import parent_process

    return parent_process() is not None


def _close_at_sigterm(close: Callable[[], object], limit_s: float) -> None:
    global _watch  # noqa: PLW0603 - there is one handler a process
    if not hasattr(signal, "set_wakeup_fd") or threading.current_thread() is not threading.main_thread():
        return
    if _watch is not None and signal.getsignal(signal.SIGTERM) == _watch.handle:
        _watch.close = close
    elif signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        _watch = _SigtermWatch(close, limit_s)
        _watch.install()


class _SigtermWatch(threading.Thread):
    """At SIGTERM: call ``close``, then end as a process without a handler does.

    The main thread may be busy in C code for minutes, where no Python handler runs. So the signal also wakes this
    thread, through the descriptor that the interpreter's own handler writes to; whichever runs first calls ``close``.
    """

    def __init__(self, close: Callable[[], object], limit_s: float) -> None:
        super().__init__(name="mlops-sigterm", daemon=True)
        self.close = close
        self._limit_s = limit_s
        self._process = os.getpid()
        self._ending = threading.Lock()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def install(self) -> None:
        """Take over SIGTERM, and the wake-up descriptor unless an event loop uses it."""
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if before == -1:
            self.start()
        else:
            signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, self.handle)

    @property
    def is_of_this_process(self) -> bool:
        """False in a forked child."""
        return os.getpid() == self._process

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Runs in the main thread, between two of its instructions."""
        if not self.is_of_this_process:
            _end_by_sigterm()
        self._end()

    def run(self) -> None:
        """Wait for SIGTERM among the signals that have Python handlers."""
        while received := os.read(self._reader, 64):
            if signal.SIGTERM in received:
                self._end()

    def leave_to_parent(self) -> None:
        """In a forked child: its signals are not the parent's."""
        if threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) == self.handle:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if (descriptor := signal.set_wakeup_fd(-1)) not in {-1, self._writer}:
                signal.set_wakeup_fd(descriptor)
        os.close(self._reader)
        os.close(self._writer)

    def _end(self) -> None:
        if self._ending.acquire(blocking=False):
            try:
                self.close()
            finally:
                _end_by_sigterm()
        else:
            time.sleep(self._limit_s + 1.0)
            _end_by_sigterm()


def _end_by_sigterm() -> None:
    # signal.signal works in the main thread only.
    ctypes.pythonapi.PyOS_setsig(int(signal.SIGTERM), None)
    os.kill(os.getpid(), signal.SIGTERM)


def after_fork_in_child() -> None:
    """Forget the parent's handler. Outputs call it as well, since hooks have no order."""
    global _watch  # noqa: PLW0603 - as above
    if _watch is not None and not _watch.is_of_this_process:
        _watch.leave_to_parent()
        _watch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork_in_child)
