"""The queue between callers and the sender thread: what the hot path appends to.

It is the only thing that ``set_stat`` touches, and one object for the life of the process: handles of series keep it
over ``done()``, ``init()`` and ``fork``.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

SeriesKey = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
"""(name, model id, category, graph type, labels) of a series."""

Sample = tuple["str | SeriesKey", float, float]
"""(series, value, event time in epoch seconds). A bare name is a time series without labels, drawn as a line.

The sender floors times to the millisecond; one that was given, not read from the clock, is queued by ``queued_time_s``.
"""


class SampleQueue(deque[Sample]):
    """Samples on their way. Appending is thread-safe and takes no lock."""

    __slots__ = ("room",)

    clock: ClassVar[staticmethod[[], float]] = staticmethod(time.time)
    """Gives the event time of a sample. One for all queues, since an ``event_time`` block holds for every session."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 0
        """How many samples may wait. 0 sends every report the long way round: not initialised, stand-alone, forked."""

    @classmethod
    def take_times_from(cls, clock: Callable[[], float]) -> None:
        """Replace the clock: called by the first ``event_time`` block, so that programs without one do not pay."""
        cls.clock = staticmethod(clock)


def plain_series(name: str) -> SeriesKey:
    """Key of a bare name."""
    return (name, "", "TIME_SERIES", "LINEGRAPH", ())


def queued_time_s(moment_ns: int) -> float:
    """A time that was given, as a sample carries it: the middle of its millisecond, which rounding cannot leave."""
    return (moment_ns // 1_000_000 + 0.5) / 1000.0
