"""An encoded record on its way from the sender thread to librdkafka, possibly through the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parallelm.mlops._delivery.drops import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.schemas.series_key import SeriesKey


class EncodedRecord(NamedTuple):
    """A record that no broker has confirmed yet."""

    topic: str
    key: bytes
    value: bytes
    reports: int
    """Number of samples, points or records that it holds."""
    delivered: Callable[[], None] | None = None
    """Called in the sender thread when a broker has the record. Only records that are stored elsewhere (models) have one."""
    settled: Callable[[int | None, int], None] | None = None
    """For a record in the spool: called in the sender thread with partition and offset, or None if it can never be sent."""
    what: str = ""
    """What it is, as the log shows it; empty for samples and for records of the spool."""
    series: Sequence[tuple[str | SeriesKey, int]] = ()
    """For samples: their number by series."""

    @property
    def is_safe(self) -> bool:
        """Whether it outlives this process: in the outbox or in the spool."""
        return self.delivered is not None or self.settled is not None

    def contents(self) -> Mapping[str, int]:
        """How many of what it holds, as the log shows it."""
        if self.series:
            return samples_by_name(self.series)
        return {self.what or f"record of {len(self.value):,} bytes for {self.topic!r}": self.reports}


def samples_by_name(series: Sequence[tuple[str | SeriesKey, int]]) -> dict[str, int]:
    """How many samples of which statistic, as the log shows it."""
    counts: dict[str, int] = {}
    for key, count in series:
        what = named("statistic", key if isinstance(key, str) else key.name)
        counts[what] = counts.get(what, 0) + count
    return counts
