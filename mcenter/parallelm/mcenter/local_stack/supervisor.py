"""Keeps the processes of a stack running: starts them in order, checks, restarts with back-off, stops in order.

Everything happens in one loop on the main thread (see ``ChildProcess`` for why). What it knows is written to
``run/state.json`` at every change, for ``mcenter status`` and for whoever waits until the stack is ready.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from typing import TYPE_CHECKING

from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.process import ChildProcess
from parallelm.mcenter.local_stack.services import inherited_environment, ready_file
from parallelm.mcenter.local_stack.state import ProcessState, StackState, save_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parallelm.mcenter.local_stack.services import Service

TICK_S = 0.1
PROBE_EVERY_S = 2.0
FAILED_PROBES = 5
"""So many failed probes in a row: the process hangs and is killed, to be started again."""
FIRST_BACK_OFF_S, MAX_BACK_OFF_S = 0.25, 15.0
STEADY_S = 30.0
"""A process that lived so long starts again with the first back-off."""
STOP_TIMEOUT_S = 15.0


class Supervised:
    """One service and its process of the moment."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service = service
        self.child: ChildProcess | None = None
        self.state = ProcessState(service.name, service.address, service.metrics_port)
        self.back_off_s = FIRST_BACK_OFF_S
        self.start_at = 0.0
        self.ready_by = 0.0
        self.next_probe = 0.0
        self.failed_probes = 0
        self.was_ready = False
        self._folder = folder

    def start(self) -> ChildProcess:
        """Start the process."""
        ready_file(self._folder, self.service.name).unlink(missing_ok=True)
        log = self._folder / "logs" / f"{self.service.name}.log"
        self.child = ChildProcess(
            self.service.command,
            inherited_environment() | dict(self.service.environ),
            self._folder.parent,
            log,
        )
        self.ready_by = time.monotonic() + self.service.ready_timeout_s
        self.next_probe = self.failed_probes = 0
        self.state.started(self.child.pid, self.child.started_at)
        return self.child

    def is_ready(self) -> bool:
        """Whether its probe, or its ready file, says that it is ready."""
        if self.service.probe:
            return self.service.probe()
        return ready_file(self._folder, self.service.name).exists()

    def last_words(self) -> str:
        """Its last log lines, indented."""
        lines = self.child.last_lines if self.child else []
        return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"


class Supervisor:
    """Runs the services until it is told to stop. ``say(name, line)`` gets every line that is written."""

    def __init__(self, folder: Path, services: list[Service], say: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._say = say
        self._all = [Supervised(service, folder) for service in services]
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._state = StackState(os.getpid(), time.time(), [entry.state for entry in self._all])

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call ``on_ready`` once, and go on until SIGINT or SIGTERM; then stop everything.

        Raises ``StackError`` when a service does not come up at first.
        """
        wake, wake_write = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_write, False)
        self._selector.register(wake, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())
        announced = False
        try:
            while not self._stopping:
                self._step()
                if not announced and all(entry.state.is_up for entry in self._all):
                    announced = True
                    self._state.ready = True
                    self._save()
                    on_ready()
                for key, _ in self._selector.select(TICK_S):
                    self._read(key.fd, wake)
        except StackError as error:
            self._state.error = str(error)
            raise
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Leave ``run`` at the next step."""
        self._stopping = True

    def _read(self, descriptor: int, wake: int) -> None:
        if descriptor == wake:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 512)
            return
        for entry in self._all:
            if entry.child and not entry.child.closed and entry.child.fileno() == descriptor:
                self._tell(entry, entry.child.read_lines())

    def _step(self) -> None:
        now = time.monotonic()
        before = self._state.summary()
        for entry in self._all:
            if entry.child is None or entry.child.closed:
                self._start_if_due(entry, now)
            elif entry.child.exit_code() is not None:
                self._ended(entry, now)
            else:
                self._check(entry, now)
        if self._state.summary() != before:
            self._save()

    def _start_if_due(self, entry: Supervised, now: float) -> None:
        up = {other.service.name for other in self._all if other.state.is_up}
        waiting = entry.state.condition != "done" and now >= entry.start_at
        if waiting and (entry.was_ready or up.issuperset(entry.service.needs)):
            self._selector.register(entry.start().fileno(), selectors.EVENT_READ)

    def _check(self, entry: Supervised, now: float) -> None:
        if entry.state.condition == "starting":
            if not entry.service.ends and entry.is_ready():
                entry.state.condition = "ready"
                entry.was_ready = True
                self._say(entry.service.name, "ready")
            elif now > entry.ready_by:
                self._give_up(entry, f"was not ready within {entry.service.ready_timeout_s:.0f} s")
        elif entry.service.probe and now >= entry.next_probe:
            entry.next_probe = now + PROBE_EVERY_S
            entry.failed_probes = 0 if entry.service.probe() else entry.failed_probes + 1
            if entry.failed_probes >= FAILED_PROBES and entry.child:
                self._say(entry.service.name, "does not answer any more; it is killed and started again")
                entry.child.send(signal.SIGKILL)

    def _ended(self, entry: Supervised, now: float) -> None:
        child = entry.child
        assert child is not None  # noqa: S101 - only called with a child
        code = child.exit_code()
        self._selector.unregister(child.fileno())
        self._tell(entry, child.close())
        if entry.service.ends and code == 0:
            entry.state.condition = "done"
            return
        why = (
            f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with code {code}"
        )
        if not entry.was_ready:
            self._give_up(entry, why)
        if time.time() - child.started_at > STEADY_S:
            entry.back_off_s = FIRST_BACK_OFF_S
        self._say(
            entry.service.name,
            f"{why}; starting again in {entry.back_off_s:.2g} s. Its last lines:\n{entry.last_words()}",
        )
        entry.state.ended(why)
        entry.start_at = now + entry.back_off_s
        entry.back_off_s = min(entry.back_off_s * 2, MAX_BACK_OFF_S)

    def _give_up(self, entry: Supervised, why: str) -> None:
        if entry.was_ready and entry.child:
            entry.child.send(signal.SIGKILL)
            return
        entry.state.ended(why)
        log = self._folder / "logs" / f"{entry.service.name}.log"
        raise StackError(f"{entry.service.name} {why}. Its last lines (all: {log}):\n{entry.last_words()}")

    def _shut_down(self) -> None:
        self._state.ready = False
        self._state.stopping = True
        self._save()
        for entry in reversed(self._all):
            child = entry.child
            if child is None or child.closed:
                continue
            child.send(signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while child.exit_code() is None:
                if time.monotonic() > deadline:
                    self._say(entry.service.name, f"did not end within {STOP_TIMEOUT_S:.0f} s; killed")
                    child.send(signal.SIGKILL)
                    deadline = float("inf")
                self._selector.select(0.02)
                self._tell(entry, child.read_lines())
            self._tell(entry, child.close())
            entry.state.stopped()
        self._state.stopping = False
        self._save()

    def _tell(self, entry: Supervised, lines: list[str]) -> None:
        for line in lines:
            self._say(entry.service.name, line)

    def _save(self) -> None:
        save_state(self._state, self._folder)
