"""What may end or change a run from outside: requests of the agent, signals, its lease, its time limit, the stack's end."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, NamedTuple

from parallelm.agent.keeping import signals
from parallelm.agent.keeping.aside import aside
from parallelm.agent.keeping.timer import BootTimer, boot_time_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.agent.keeping.plan import Plan
    from parallelm.agent.keeping.records import Outcome

KILL_BEFORE = 0.1
"""Part of the lease's grace that is left when SIGKILL is sent."""


class StopOrder(NamedTuple):
    """Why a run is to end."""

    outcome: Outcome
    message: str


class Watch:
    """Waits, and says what is asked of the keeper."""

    def __init__(self, path: str, plan: Plan, end_with: int | None) -> None:
        self._path, self._plan, self._end_with = path, plan, end_with
        self.order: StopOrder | None = None
        """Why the run is to end; the first reason stays."""
        self.grace_s = plan.stop_grace_s
        """Of the stop that was asked for."""
        self.restarts = 0
        """Restarts that were asked for and not yet taken."""
        self.signals: list[str] = []
        """Signals that were asked for and not yet sent."""
        self._seen_restarts = self._seen_signals = 0
        self._lease_s: float | None = None
        self._ends_s: float | None = None
        self._timer = BootTimer()
        self._wake = -1

    def begin(self) -> None:
        """Watch from now on, in this process."""
        if self._plan.time_limit_s:
            self._ends_s = time.monotonic() + self._plan.time_limit_s
        self._wake = signals.wake_descriptor()
        self._read_lease()
        self._read_request()
        self._check_lease()

    def end(self) -> None:
        """Watch no more."""
        signals.close_wake_descriptor(self._wake)

    def is_ordered(self) -> bool:
        """Whether the run is to end."""
        return self.order is not None

    def wait(self, descriptors: Iterable[int], *, until_s: float | None, kill_at_s: float | None) -> None:
        """Wait until something may have happened; ``until_s`` monotonic, ``kill_at_s`` by CLOCK_BOOTTIME."""
        self._timer.set(_earliest(kill_at_s, None if self.order else self._lease_over_s()))
        waiting = select.poll()
        for descriptor in (self._wake, *self._timer.descriptors, *descriptors):
            waiting.register(descriptor, select.POLLIN)
        if self._end_with is not None and self.order is None:
            waiting.register(self._end_with, select.POLLIN)
        due_s = _earliest(until_s, None if self.order else self._ends_s)
        timeout_ms = None if due_s is None else max(0.0, due_s - time.monotonic()) * 1000 + 1
        ready = [descriptor for descriptor, _ in waiting.poll(timeout_ms)]
        if self._wake in ready:
            signals.take_wake_ups(self._wake)
        if signals.take_request():  # not for each child: reading what is asked is done in one
            self._read_request()
        self._check(self._end_with in ready)

    def kill_limit_s(self) -> float | None:
        """By CLOCK_BOOTTIME: when no program of the run may be there any more, whatever its grace."""
        self._read_lease()
        return None if self._lease_s is None else self._lease_s - KILL_BEFORE * self._plan.lease_grace_s

    def _check(self, stack_ended: bool) -> None:
        if signals.is_terminated():
            self._decide("stopped", "its keeper was sent SIGTERM")
        if stack_ended:
            self._decide("stopped", "the process that it was started to end with has ended")
        if self._ends_s is not None and time.monotonic() >= self._ends_s:
            self._decide("timed_out", f"it ran for its time limit of {self._plan.time_limit_s:g} s")
        self._check_lease()

    def _check_lease(self) -> None:
        over_s = self._lease_over_s()
        if over_s is None or boot_time_s() < over_s:
            return
        self._read_lease()
        over_s = self._lease_over_s()
        if over_s is not None and boot_time_s() >= over_s:
            self._decide("lease_lost", "its lease was not extended")

    def _read_lease(self) -> None:
        lease_s, error = aside(self._lease)
        if not error:
            self._lease_s = lease_s

    def _lease(self) -> float | None:
        from parallelm.agent.keeping.run_folder import RunFolder

        return RunFolder.at(self._path).lease_end_s()

    def _lease_over_s(self) -> float | None:
        return None if self._lease_s is None else self._lease_s - self._plan.lease_grace_s

    def _read_request(self) -> None:
        request, error = aside(self._request)
        if error:
            return
        stop, outcome, grace_s, restarts, asked_signals, signal_name = request
        if stop is not None:
            self._decide(outcome, stop)
            if grace_s is not None:
                self.grace_s = grace_s
        self.restarts += restarts - self._seen_restarts
        self.signals += [signal_name] * min(asked_signals - self._seen_signals, 1)
        self._seen_restarts, self._seen_signals = restarts, asked_signals

    def _request(self) -> tuple[str | None, str, float | None, int, int, str]:
        from parallelm.agent.keeping.run_folder import RunFolder

        request = RunFolder.at(self._path).request()
        return (
            request.stop,
            request.outcome,
            request.grace_s,
            request.restarts,
            request.signals,
            request.signal,
        )

    def _decide(self, outcome: Outcome, message: str) -> None:
        if self.order is None:
            self.order = StopOrder(outcome, message)


def _earliest(*times_s: float | None) -> float | None:
    return min((time_s for time_s in times_s if time_s is not None), default=None)
