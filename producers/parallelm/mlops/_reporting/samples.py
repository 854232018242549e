"""The queue between callers and the sender thread: what the hot path appends to.

It is the only object that ``set_stat`` touches, and it exists as long as the process: handles of series refer to it
across ``done()``, ``init()`` and ``fork``.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from parallelm.schemas.series_key import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable

Sample = tuple[str | SeriesKey, float, float]
"""(series, value, event time in epoch seconds). A bare name is a time series without labels, drawn as a line.

The sender floors times to the millisecond. Given times, unlike those of the clock, pass through ``queued_time_s``.
"""


class SampleQueue(deque[Sample]):
    """Queued samples. Appending is thread-safe and takes no lock."""

    __slots__ = ("room",)

    clock: ClassVar[staticmethod[[], float]] = staticmethod(time.time)
    """Returns the event time of a sample. One for all queues, since an ``event_time`` block holds for every session."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 0
        """Maximum length. 0 (not initialised, stand-alone, forked) makes every report take the slow path."""

    @classmethod
    def take_times_from(cls, clock: Callable[[], float]) -> None:
        """Replace the clock: called by the first ``event_time`` block, so that programs without one do not pay."""
        cls.clock = staticmethod(clock)


def queued_time_s(moment_ns: int) -> float:
    """A given time as a sample carries it: the middle of its millisecond, so that rounding errors stay inside."""
    return (moment_ns // 1_000_000 + 0.5) / 1000.0
