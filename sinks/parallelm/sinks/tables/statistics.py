"""``mlops.statistics``: the hot path, one row a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.sinks.statistics_rows import TABLE as STORED_IN
from parallelm.sinks.statistics_rows import StatisticsRows

if TYPE_CHECKING:
    from parallelm.schemas.registry import Registry


class _Statistics:
    topic = topics.STATISTICS
    counted_in = STORED_IN

    def row_maker(self, registry: Registry) -> StatisticsRows:
        return StatisticsRows(registry)


TABLE = _Statistics()
