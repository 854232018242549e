"""Taking over a partition: where it is read from, and what was lost before."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition

from parallelm.sinks.backoff import Backoff
from parallelm.sinks.blocks import ConsumedRecord
from parallelm.sinks.consumer import starting_point
from parallelm.sinks.errors import SinkError
from parallelm.sinks.partition import PartitionWork
from parallelm.sinks.rows import Rejected
from parallelm.sinks.shards import placement
from parallelm.sinks.tables import counted_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections.shards import ShardMap
    from parallelm.schemas.topics import Topic
    from parallelm.sinks.dead_letters import DeadLetterProducer
    from parallelm.sinks.intent import Committed
    from parallelm.sinks.metrics import SinkMetrics
    from parallelm.sinks.options import SinkOptions
    from parallelm.sinks.rows import RowMaker, Source
    from parallelm.sinks.writer import Writer

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Takeover:
    """Begins the work on partitions that were assigned."""

    topics: Mapping[str, Topic]
    row_makers: Mapping[str, RowMaker]
    questions: Writer
    shards: ShardMap
    dead_letters: DeadLetterProducer
    options: SinkOptions
    metrics: SinkMetrics

    def begin(
        self, source: Source, offset: int | None, committed: Committed, bounds: tuple[int, int]
    ) -> tuple[PartitionWork, TopicPartition]:
        """Its work, and where it is read from.

        Raises ``InsertStateUnknownError`` and ``InsertRefusedError`` when that cannot be decided now, and ``NotReadyError``
        when this sink has an older map of shards.
        """
        low, high = bounds
        known = self._after_rows(source) if offset is None and low < high else offset
        start = starting_point(known, committed, source, bounds)
        work = PartitionWork(
            source,
            self.row_makers[source.topic],
            Backoff(),
            start.intent,
            placement(self.shards, committed, source),
            committed=offset or 0,
            settled_at_s=time.monotonic() + self.options.session_timeout_s,
        )
        if start.lost is not None:
            self._record_loss(source, known or 0, *start.lost)
        return work, TopicPartition(source.topic, source.partition, start.offset)

    def _after_rows(self, source: Source) -> int | None:
        """Offset after the rows that the table has, where the group has none: Kafka forgets those of an idle group.

        A partition's blocks are written one after the other, so the last row proves that all records before it are stored.
        """
        topic = self.topics[source.topic]
        last = self.questions.last_offset(counted_in(topic), source, topic.retention_ms)
        if last is None:
            return None
        _LOG.warning(
            "%s [%d]: the group has no offset, but the table has rows up to offset %d: reading continues from there",
            source.topic, source.partition, last,
        )  # fmt: skip
        return last + 1

    def _record_loss(self, source: Source, wanted: int, lost: int, why: str) -> None:
        """Report lost records in the log, as a metric and as a dead letter."""
        _LOG.error("%s [%d]: %s", source.topic, source.partition, why)
        self.metrics.lost_records.labels(source.topic).inc(lost)
        gone = ConsumedRecord(wanted, 0, None, None)
        self.dead_letters.send([Rejected(gone, "retention", SinkError(why))], source)
