"""Keeps processes running: starts them in order, probes, restarts with back-off, stops in reverse order.

Everything happens in one loop on the main thread (``ChildProcess`` says why). Its state is written to a file at every
change, for those who ask about the processes or wait until they are ready.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from parallelm.supervision.errors import ServiceFailedError
from parallelm.supervision.state import SupervisorState, save_state
from parallelm.supervision.supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from parallelm.supervision.service import Service
    from parallelm.supervision.service_frame import Stop

TICK_S = 0.1
STOP_TIMEOUT_S = 15.0
"""How long a process may take to end after SIGTERM, before it is killed."""


class Output(Protocol):
    """Where the supervisor reports what happens."""

    def line(self, name: str, text: str) -> None:
        """A line that a process wrote; its log file also has it."""

    def event(self, name: str, text: str) -> None:
        """Something that happened to a process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where a supervisor works."""

    working_folder: Path
    """In which its processes start."""
    logs: Path
    """Folder of ``<service>.log``."""
    state: Path
    """See ``state``."""


class Supervisor:
    """Runs services until it is asked to stop. Once only.

    ``environ`` is what every service gets; its own ``environ`` is added to it.
    """

    def __init__(
        self, services: Sequence[Service], files: Files, environ: Mapping[str, str], output: Output
    ) -> None:
        self._files = files
        self._output = output
        self._all = [
            Supervised(service, environ, files.working_folder, files.logs / f"{service.name}.log")
            for service in services
        ]
        self._is_folder_ours = True
        """Whether the state's folder is the one of the start: one removed and made again may be another stack's."""
        self._selector = selectors.DefaultSelector()
        self._state = SupervisorState(os.getpid(), time.time(), [entry.state for entry in self._all])

    def run(self, stop: Stop, on_ready: Callable[[], None]) -> None:
        """Start everything, call ``on_ready`` once, and go on until ``stop`` is set; then stop everything.

        Raises ``ServiceFailedError`` when a service does not come up at its first start, or the folder is removed.
        """
        self._selector.register(stop, selectors.EVENT_READ, lambda: None)
        self._save()
        folder = self._identity_of_folder()
        try:
            while not stop.is_set():
                self._check_folder(folder)
                self._step(time.monotonic())
                if not self._state.ready and self._all_up():
                    self._state.ready = True
                    self._save()
                    on_ready()
                for key, _ in self._selector.select(TICK_S):
                    key.data()
        except ServiceFailedError as error:
            self._state.error = str(error)
            raise
        finally:
            self._shut_down()

    def _check_folder(self, known: tuple[int, int] | None) -> None:
        if self._identity_of_folder() != known:
            self._is_folder_ours = False
            raise ServiceFailedError(f"{self._files.state.parent} was removed")

    def _identity_of_folder(self) -> tuple[int, int] | None:
        try:
            status = self._files.state.parent.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _all_up(self) -> bool:
        return all(entry.state.is_up or entry.service.background for entry in self._all)

    def _step(self, now: float) -> None:
        before = self._state.summary()
        for entry in self._all:
            up = {other.service.name for other in self._all if other.state.is_up}
            if not entry.runs and entry.may_start(now, up):
                descriptor = entry.start(now).fileno()
                self._selector.register(
                    descriptor, selectors.EVENT_READ, lambda entry=entry: self._read(entry)
                )
            elif entry.child and entry.runs:
                code = entry.child.exit_code()
                if code is None:
                    self._check(entry, now)
                else:
                    self._ended(entry, code, now)
        if self._state.summary() != before:
            self._save()

    def _check(self, entry: Supervised, now: float) -> None:
        if entry.becomes_ready():
            self._output.event(entry.service.name, "ready")
        elif entry.is_late(now):
            self._late(entry, f"was not ready within {entry.service.ready_timeout_s:.0f} s")
        elif entry.state.condition in {"ready", "unhealthy"} and entry.hangs(now):
            self._late(entry, "does not answer any more")

    def _late(self, entry: Supervised, why: str) -> None:
        if not entry.was_ready:
            self._give_up(entry, why)
        if entry.child:
            self._output.event(entry.service.name, f"{why}; it is killed")
            entry.child.send(signal.SIGKILL)

    def _ended(self, entry: Supervised, code: int, now: float) -> None:
        self._close(entry)
        if entry.service.ends and code == 0:
            entry.state.condition = "done"
            return
        why = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if entry.service.background:
            entry.state.condition = "done"
            self._output.event(entry.service.name, f"{why}. Its last lines:\n{entry.last_lines()}")
            return
        if not entry.was_ready:
            self._give_up(entry, why)
        wait_s = entry.schedule_restart(why, now)
        self._output.event(
            entry.service.name, f"{why}; starts again in {wait_s:g} s. Its last lines:\n{entry.last_lines()}"
        )

    def _give_up(self, entry: Supervised, why: str) -> None:
        entry.state.last_error = why
        raise ServiceFailedError(
            f"{entry.service.name} {why}. Its last lines (all of them: {entry.log}):\n{entry.last_lines()}"
        )

    def _shut_down(self) -> None:
        self._state.ready, self._state.stopping = False, True
        self._save()
        for entry in reversed(self._all):
            if entry.runs:
                self._stop(entry)
                self._save()
        self._state.stopping = False
        self._save()

    def _stop(self, entry: Supervised) -> None:
        child = entry.child
        if child is None:
            return
        child.send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while child.exit_code() is None:
            if time.monotonic() > deadline:
                self._output.event(
                    entry.service.name, f"did not end within {STOP_TIMEOUT_S:.0f} s; it is killed"
                )
                child.send(signal.SIGKILL)
                deadline = float("inf")
            self._read(entry)
            time.sleep(0.02)
        self._close(entry)
        entry.state.stopped()

    def _read(self, entry: Supervised) -> None:
        if entry.child:
            for line in entry.child.read_lines():
                self._output.line(entry.service.name, line)

    def _close(self, entry: Supervised) -> None:
        if entry.child:
            self._selector.unregister(entry.child.fileno())
            for line in entry.child.close():
                self._output.line(entry.service.name, line)

    def _save(self) -> None:
        """Report to the outside; a full disk does not stop the processes."""
        if not self._is_folder_ours:
            return
        with contextlib.suppress(OSError):
            save_state(self._state, self._files.state)
