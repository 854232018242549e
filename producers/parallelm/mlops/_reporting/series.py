"""A bound handle of one series: the cheapest way to report many numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.mlops.stats._values import number
from parallelm.schemas.series_key import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops._reporting.reporter import Reporter
    from parallelm.mlops._reporting.samples import SampleQueue


class Series:
    """One series of one statistic, made by ``mlops.series(name)``. Stays valid across ``done()``, ``init()`` and ``fork``.

    A copy, or an unpickled handle in another process, is the same series of that process's ``mlops``.
    """

    __slots__ = ("_reporter", "key", "set")

    key: SeriesKey
    """What it is, with its labels."""
    set: Callable[[float], None]
    """Report one number; raises ``MLOpsException`` for anything else and while the library is not open."""

    def __init__(self, key: SeriesKey, reporter: Reporter, queue: SampleQueue) -> None:
        self.key = key
        self._reporter = reporter
        queued = key.name if key == SeriesKey(key.name) else key
        append = queue.append
        report_now = reporter.sample

        def report(value: float) -> None:
            if type(value) is float and len(queue) < queue.room:
                append((queued, value, queue.clock()))
            else:
                report_now(key, number(value, f"the value of {key.name!r}"))

        self.set = report

    def __reduce__(self) -> tuple[Callable[[SeriesKey], Series], tuple[SeriesKey]]:
        return self._reporter.series_of, (self.key,)
