"""What may end or change a run from outside: requests of the agent, signals, its lease, its time limit, the stack's end."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.keeping.timer import boot_time_s

if TYPE_CHECKING:
    from parallelm.agent.keeping.plan import Plan
    from parallelm.agent.keeping.records import Outcome

KILL_BEFORE = 0.1
"""Part of the lease's grace that is left when SIGKILL is sent."""


class Sight(NamedTuple):
    """What the keeper itself has seen."""

    is_terminated: bool
    """Whether it was sent SIGTERM."""
    has_stack_ended: bool


class StopOrder(NamedTuple):
    """Why a run is to end."""

    outcome: Outcome
    message: str


class Watch:
    """What is asked of a run so far. It begins when it is made."""

    def __init__(self, path: str, plan: Plan) -> None:
        self._path, self._plan = path, plan
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
        self._ends_s = time.monotonic() + plan.time_limit_s if plan.time_limit_s else None
        self._read_lease()

    def look(self, sight: Sight) -> None:
        """Take in what is asked."""
        self._read_request()
        if sight.is_terminated:
            self._decide("stopped", "its keeper was sent SIGTERM")
        if sight.has_stack_ended:
            self._decide("stopped", "the process that it was started to end with has ended")
        if self._ends_s is not None and time.monotonic() >= self._ends_s:
            self._decide("timed_out", f"it ran for its time limit of {self._plan.time_limit_s:g} s")
        self._check_lease()

    def time_limit_s(self) -> float | None:
        """When the time limit of a run that goes on is over, monotonic."""
        return None if self.order else self._ends_s

    def lease_over_s(self) -> float | None:
        """By CLOCK_BOOTTIME: when a run that goes on is to be told to end, unless its lease is extended."""
        if self.order is not None or self._lease_s is None:
            return None
        return self._lease_s - self._plan.lease_grace_s

    def kill_limit_s(self) -> float | None:
        """By CLOCK_BOOTTIME: when no program of the run may be there any more, whatever its grace."""
        self._read_lease()
        return None if self._lease_s is None else self._lease_s - KILL_BEFORE * self._plan.lease_grace_s

    def _check_lease(self) -> None:
        if not self._is_lease_over():
            return
        self._read_lease()
        if self._is_lease_over():
            self._decide("lease_lost", "its lease was not extended")

    def _is_lease_over(self) -> bool:
        over_s = self.lease_over_s()
        return over_s is not None and boot_time_s() >= over_s

    def _read_lease(self) -> None:
        with _as_before():
            self._lease_s = RunFolder.at(self._path).lease_end_s()

    def _read_request(self) -> None:
        with _as_before():
            request = RunFolder.at(self._path).request()
            if request.stop is not None:
                self._decide(request.outcome, request.stop)
                if request.grace_s is not None:
                    self.grace_s = request.grace_s
            self.restarts += request.restarts - self._seen_restarts
            self.signals += [request.signal] * min(request.signals - self._seen_signals, 1)
            self._seen_restarts, self._seen_signals = request.restarts, request.signals

    def _decide(self, outcome: Outcome, message: str) -> None:
        if self.order is None:
            self.order = StopOrder(outcome, message)


def earliest(*times_s: float | None) -> float | None:
    """The first of some times; None: never."""
    return min((time_s for time_s in times_s if time_s is not None), default=None)


def _as_before() -> contextlib.suppress:
    """A file that cannot be read, or that an agent of another version wrote, changes nothing."""
    return contextlib.suppress(OSError, ValueError, TypeError, LookupError)
