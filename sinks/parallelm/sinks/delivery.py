"""Blocks on their way into ClickHouse, in the order that makes them arrive exactly once in effect.

Intent committed, rows inserted under its token, dead letters flushed, end committed. If the process dies in between,
the next owner repeats the block under the same token, and ClickHouse drops what it has already.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING

from parallelm.sinks.consumer import commit
from parallelm.sinks.errors import InsertStateUnknownError
from parallelm.sinks.intent import ROW_FORMAT, done_metadata, intent_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from confluent_kafka import Consumer

    from parallelm.sinks.dead_letters import DeadLetterProducer
    from parallelm.sinks.intent import Intent
    from parallelm.sinks.metrics import SinkMetrics
    from parallelm.sinks.partition import Block, PartitionWork
    from parallelm.sinks.rows import Source
    from parallelm.sinks.writer import Writer

_LOG = logging.getLogger(__name__)


class Delivery:
    """Delivers the blocks of several partitions, with one commit before and one after them all."""

    def __init__(
        self, consumer: Consumer, writer: Writer, dead_letters: DeadLetterProducer, metrics: SinkMetrics
    ) -> None:
        self._consumer = consumer
        self._writer = writer
        self._dead_letters = dead_letters
        self._metrics = metrics

    def deliver(self, works: Sequence[PartitionWork], lease_is_fresh: Callable[[], bool]) -> None:
        """Write the block of each partition; those that the lease no longer covers are left for the next time.

        Raises ``RetryLaterError`` when something is away: deliver the same blocks again later. Raises
        ``InsertStateUnknownError`` when it cannot be decided whether a crashed owner's block is there.
        """
        under_way = [(work, work.block) for work in works if work.block is not None]
        self._commit_intents(under_way)
        written: list[tuple[PartitionWork, Block]] = []
        try:
            for work, block in under_way:
                if not lease_is_fresh():
                    break
                self._write(work.source, block)
                written.append((work, block))
        finally:
            self._commit_ends(written)

    def commit_empty_ends(self, works: Iterable[PartitionWork]) -> None:
        """Move the group past offsets without records, such as transaction markers, at the end of partitions.

        Else the group would seem to be behind for as long as no record follows. Raises ``RetryLaterError``.
        """
        at_end = [(work, offset) for work in works if (offset := work.offset_to_commit) is not None]
        commit(
            self._consumer,
            [
                (work.source.topic, work.source.partition, offset, done_metadata(work.source.topic_id))
                for work, offset in at_end
            ],
        )
        for work, offset in at_end:
            work.committed = offset

    def _commit_intents(self, under_way: Sequence[tuple[PartitionWork, Block]]) -> None:
        new = [(work, block) for work, block in under_way if not block.intent_committed]
        for work, block in new:
            if block.replayed is not None:
                self._resolve(work.source, block, block.replayed)
        commit(
            self._consumer,
            [
                (work.source.topic, block.intent.partition, block.intent.first, intent_metadata(block.intent))
                for work, block in new
            ],
        )
        for _, block in new:
            block.intent_committed = True

    def _resolve(self, source: Source, block: Block, crashed: Intent) -> None:
        """A rebuilt block differs from its intent: write it only if none of its rows are stored."""
        table, offsets = block.rows.stored_in, crashed.offsets
        there = self._writer.count(table, offsets, block.ingested_ms)
        if there:
            raise InsertStateUnknownError(
                f"{source.topic} [{source.partition}] offsets {offsets.first} to {offsets.last}: a crashed sink was "
                f"inserting them; their records now make different rows (row format {crashed.row_format} then, "
                f"{ROW_FORMAT} now; content {crashed.content_hash} then, {block.intent.content_hash} now), and {there} "
                f"rows of them are in {table}. Look at them (WHERE _topic_id = '{offsets.topic_id}' AND _partition = "
                f"{offsets.partition} AND _offset BETWEEN {offsets.first} AND {offsets.last}). If they are complete, move "
                f"the group's offset to {offsets.last + 1} with kafka-consumer-groups --reset-offsets; if not, delete "
                "them first. Then start the sink again"
            )
        # The old token may be remembered although its rows are gone: the new rows need another one.
        token = f"{block.intent.token}/{block.intent.content_hash}/{ROW_FORMAT}"
        block.intent = dataclasses.replace(block.intent, token=token)
        _LOG.warning(
            "%s [%d]: the block of a crashed sink is written again as %s",
            source.topic,
            source.partition,
            token,
        )

    def _write(self, source: Source, block: Block) -> None:
        rows = block.rows
        if rows.data:
            started_s = time.perf_counter()
            self._writer.insert(rows, block.intent.token)
            self._metrics.insert_seconds.labels(rows.table).observe(time.perf_counter() - started_s)
            self._metrics.last_insert_time.set_to_current_time()
            if block.replayed is not None:
                self._verify(source, block)
        if rows.rejected:
            self._dead_letters.send(rows.rejected, source)
            for rejected in rows.rejected:
                self._metrics.dead_letters.labels(source.topic, rejected.stage).inc()
            _LOG.warning(
                "%s [%d]: %d records to dead letters, the first at offset %d: %s",
                source.topic,
                source.partition,
                len(rows.rejected),
                rows.rejected[0].record.offset,
                rows.rejected[0].error,
            )

    def _verify(self, source: Source, block: Block) -> None:
        """After a replay the rows of the range must be stored, each once."""
        rows = block.rows
        there = self._writer.count(rows.stored_in, block.intent.offsets, block.ingested_ms)
        if there == rows.stored_rows or (rows.replaceable and there < rows.stored_rows):
            return
        raise InsertStateUnknownError(
            f"{source.topic} [{source.partition}] offsets {block.intent.first} to {block.intent.last} make "
            f"{rows.stored_rows} rows, but {there} are in {rows.stored_in} after a repeated insert under token "
            f"{block.intent.token!r}: was the deduplication window too short, or were rows deleted?"
        )

    def _commit_ends(self, written: Sequence[tuple[PartitionWork, Block]]) -> None:
        commit(
            self._consumer,
            [
                (
                    work.source.topic,
                    work.source.partition,
                    block.intent.last + 1,
                    done_metadata(work.source.topic_id),
                )
                for work, block in written
            ],
        )
        for work, block in written:
            self._count(work.source.topic, block)
            work.finish()

    def _count(self, topic: str, block: Block) -> None:
        self._metrics.records.labels(topic).inc(len(block.records))
        self._metrics.rows.labels(topic).inc(block.rows.stored_rows)
        self._metrics.bytes_consumed.labels(topic).inc(block.size_bytes)
        self._metrics.blocks.labels(topic).inc()
        if block.replayed is not None:
            self._metrics.replays.labels(topic).inc()
