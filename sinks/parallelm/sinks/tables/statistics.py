"""``mlops.statistics``: the hot path, which the server unfolds into samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.sinks.statistics_rows import STORED_IN, StatisticsRows

if TYPE_CHECKING:
    from parallelm.schemas.registry import Registry


class _Statistics:
    topic = topics.STATISTICS
    counted_in = STORED_IN

    def row_maker(self, registry: Registry) -> StatisticsRows:
        return StatisticsRows(registry)


TABLE = _Statistics()
