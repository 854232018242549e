"""The supervised process's own part: it ends cleanly on a signal, says when it is ready, and shows its metrics.

A service calls ``catch_signals`` before it imports anything large, and does its work in ``with serving() as stop``.
SIGTERM, SIGINT and SIGHUP then end it with exit code 0 at any moment. Exit codes of services: 0 after a signal, 1 with
the reason as the last line when it cannot go on, 2 for wrong settings or arguments. Jobs, which end by themselves, use
``interruptible``: a signal ends them with 128 and its number.

Imports nothing outside the standard library, so that signals are handled milliseconds after the process starts.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object]

READY_FILE: Final = "MCENTER_READY_FILE"
"""Variable that names the file which says that a service is ready."""
METRICS_PORT: Final = "MCENTER_METRICS_PORT"
"""Variable with the port on which a service shows its metrics and health."""
METRICS_HOST: Final = "MCENTER_METRICS_HOST"
"""Variable with the address of that port, 127.0.0.1 when it is not set."""

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SIGNAL_STATUS = 128

_caught_early = False


class Stop:
    """Whether this process is asked to stop. A signal handler may set it, which deadlocks a ``threading.Event``.

    (A handler runs between two instructions of the main thread, which may hold the event's lock at that moment.)
    """

    def __init__(self) -> None:
        self._asked = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def set(self) -> None:
        """Ask it to stop."""
        if not self._asked:
            self._asked = True
            with contextlib.suppress(BlockingIOError):
                os.write(self._writer, b"\0")

    def is_set(self) -> bool:
        """Whether it was asked."""
        return self._asked

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is asked, at most ``timeout_s``; returns ``is_set``. Any number of threads may wait."""
        waiting = select.poll()
        waiting.register(self._reader, select.POLLIN)
        waiting.poll(None if timeout_s is None else timeout_s * 1000)
        return self._asked

    def fileno(self) -> int:
        """Descriptor that is readable from then on, for ``selectors`` and event loops."""
        return self._reader

    def close(self) -> None:
        """Close its descriptors."""
        os.close(self._reader)
        os.close(self._writer)


def catch_signals(*, is_job: bool = False) -> None:
    """End this process at once on a signal, until ``serving`` or ``interruptible`` takes over.

    To be called first: nothing has been begun that would have to be finished. Signals that ``signals_held`` has held
    back since the process was started arrive now.
    """
    global _caught_early  # noqa: PLW0603 - one process, one set of signal handlers
    _caught_early = True

    def end(number: int, _: FrameType | None) -> None:
        os._exit(_SIGNAL_STATUS + number if is_job else 0)

    _handle(end)


@contextmanager
def serving() -> Iterator[Stop]:
    """The life of a service: signals set the ``Stop`` that it yields, and its metrics are shown.

    Once it is left further signals change nothing: the process is ending.
    """
    stop = Stop()
    with _handling(lambda *_: stop.set()):
        serve_metrics()
        yield stop
    stop.close()


@contextmanager
def interruptible() -> Iterator[None]:
    """The life of a job: the first signal raises ``SystemExit`` with 128 and its number, so that it cleans up."""

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(_SIGNAL_STATUS + number)

    with _handling(interrupt):
        yield


@contextmanager
def signals_held() -> Iterator[None]:
    """Processes started inside get no signal until they call ``catch_signals``; whatever comes before waits for that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def announce_ready() -> None:
    """From now on the service does its work: touch the file that ``MCENTER_READY_FILE`` names, and say so at ``/ready``."""
    from parallelm.supervision.health import HEALTH

    HEALTH.ready()
    ready_file = os.environ.get(READY_FILE)
    if ready_file:
        Path(ready_file).touch()


def are_metrics_served() -> bool:
    """Whether there is a port for them."""
    return bool(os.environ.get(METRICS_PORT))


def serve_metrics() -> None:
    """Serve metrics and health at ``MCENTER_METRICS_HOST`` and ``MCENTER_METRICS_PORT``, if there is a port."""
    if not are_metrics_served():
        return
    from parallelm.supervision.health import serve

    host, port = os.environ.get(METRICS_HOST) or "127.0.0.1", os.environ[METRICS_PORT]
    try:
        serve(host, int(port))
    except (OSError, ValueError, OverflowError) as error:
        sys.stderr.write(
            f"{METRICS_HOST}={host} {METRICS_PORT}={port}: metrics cannot be served there: {error}\n"
        )
        raise SystemExit(2) from error


def exit_at_once(status: int) -> None:
    """End this process without unloading what its threads may be inside of."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def _handling(handler: Handler) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _handle(handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            # Python gives signals their defaults back while it ends, except those that are ignored.
            signal.signal(number, signal.SIG_IGN if _caught_early else previous)


def _handle(handler: Handler) -> None:
    for number in SIGNALS:
        # A program started by nohup outlives its terminal.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
