"""Waits for conditions, with a deadline: the only way in which tests wait for something outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

DEADLINE_S = 120.0
"""For everything that comes at once on a machine with time to spare."""
PATIENT = {"MCENTER_COMPONENT_QUERY_TIMEOUT_S": "60", "MCENTER_COMPONENT_CLOSE_TIMEOUT_S": "60"}
"""Environment of a component: what it waits for is there, but a busy machine may take its time."""
_POLL_S = 0.02
_SHARE = 0.1
_MOST_S = 0.2
"""What was not there for a second is asked for ten times a second: to ask costs what others need to get on."""


def wait_for(
    condition: Callable[[], T], what: str | Callable[[], object] = "", deadline_s: float = DEADLINE_S
) -> T:
    """First true value of ``condition``. After the deadline the test fails with ``what`` and the last value."""
    deadline, began = Deadline(deadline_s), time.monotonic()
    while not (value := condition()):
        deadline.check(lambda: f"{what() if callable(what) else what} (last: {value!r})")
        time.sleep(min(max(_POLL_S, _SHARE * (time.monotonic() - began)), _MOST_S))
    return value


class Deadline:
    """A limit for loops that do something until it has had its effect."""

    def __init__(self, seconds: float = DEADLINE_S) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def check(self, what: str | Callable[[], object] = "") -> None:
        """Fail the test with ``what`` once the time is over."""
        if time.monotonic() > self._ends:
            raise AssertionError(f"not within {self._seconds:g} s: {what() if callable(what) else what}")
