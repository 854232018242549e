"""Blocks on their way into ClickHouse, in the order that makes them arrive exactly once in effect.

Intent committed, rows inserted under its token, dead letters flushed, end committed, and with it the intent of the
block that was made meanwhile. If the process dies in between, the next owner repeats the block under the same token, and
ClickHouse drops what it has already. A block that ClickHouse refuses keeps only its own partition waiting, and what only a
person can decide stops only its topic or partition: it is not announced, or its end is not committed.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from parallelm.sinks.consumer import commit
from parallelm.sinks.errors import (
    DatabaseUnavailableError,
    InsertRefusedError,
    InsertStateUnknownError,
)
from parallelm.sinks.ingested_blocks import log_block
from parallelm.sinks.intent import ROW_FORMAT, done_metadata, intent_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from confluent_kafka import Consumer

    from parallelm.sinks.dead_letters import DeadLetterCounter, DeadLetterProducer
    from parallelm.sinks.intent import Intent
    from parallelm.sinks.metrics import SinkMetrics
    from parallelm.sinks.partition import Block, PartitionWork
    from parallelm.sinks.refused_blocks import RefusedBlocks
    from parallelm.sinks.rows import Source
    from parallelm.sinks.stopped import StoppedTopics
    from parallelm.sinks.writer import Writer

_LOG = logging.getLogger(__name__)


class Delivery:
    """Delivers a block of each of several partitions at a time, on threads of their own, with a commit before and after.

    All methods are for the polling thread: only inserts run beside it.
    """

    def __init__(
        self,
        consumer: Consumer,
        writers: Sequence[Writer],
        refused: RefusedBlocks,
        dead_letters: DeadLetterProducer,
        counters: Mapping[str, DeadLetterCounter],
        stopped: StoppedTopics,
        metrics: SinkMetrics,
        *,
        shards: int,
    ) -> None:
        self._consumer = consumer
        self._shards = shards
        self._writers = writers
        self._refused = refused
        self._dead_letters = dead_letters
        self._counters = counters
        self._stopped = stopped
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(len(writers), "insert")
        self._under_way: list[Future[None]] = []
        self._begun: list[tuple[PartitionWork, Block]] = []
        self._away: dict[str, DatabaseUnavailableError] = {}
        """Shards of which no host answers, while inserts are running."""
        self._written: list[PartitionWork] = []
        """Whose block is in ClickHouse, and not committed yet."""
        self._failed: list[tuple[PartitionWork, Block, InsertRefusedError | DatabaseUnavailableError]] = []
        self._unknown: list[tuple[PartitionWork, InsertStateUnknownError]] = []

    @property
    def is_inserting(self) -> bool:
        """Whether inserts are running."""
        return not all(each.done() for each in self._under_way)

    def wait(self, timeout_s: float) -> None:
        """Wait for the inserts that are running, no longer than that."""
        wait(self._under_way, timeout_s)

    def begin(self, works: Iterable[PartitionWork], lease_is_fresh: Callable[[], bool]) -> None:
        """Announce the block of each partition that has one, and start to insert them.

        Those that the lease no longer covers are left for the next time; those that must not be announced stop their topic or
        partition. Raises ``RetryLaterError`` when something is away: begin with the same blocks again later.
        """
        now_s = time.monotonic()
        due = [
            (work, work.block)
            for work in works
            if work.block is not None
            and work.is_due
            and not work.backoff.waits(now_s)
            and not self._stopped.has_too_many(work, work.block)
        ]
        self._resolve_replayed(due)
        due = [(work, block) for work, block in due if not work.stopped and not work.backoff.waits(now_s)]
        if not due:
            return
        self._commit_intents(due)
        self._begun = due
        for _, block in due:
            block.is_under_way = True
        rest = deque(due)
        self._under_way = [
            self._threads.submit(self._insert, writer, rest, lease_is_fresh) for writer in self._writers
        ]

    def complete(self) -> bool:
        """Wait for the inserts that were begun; commit the ends of what was written, and with them what follows.

        Whether anything was written. Blocks that were refused are cut, given up, or wait with their partition.

        Raises ``RetryLaterError`` when something is away: what was not committed is completed or begun again.
        """
        under_way, self._under_way = self._under_way, []
        wait(under_way)
        for _, block in self._begun:
            block.is_under_way = False
        try:
            for each in under_way:
                each.result()
            self._handle_failed()
        finally:
            count = self._commit_written()
        return count > 0

    def close(self) -> None:
        """Wait for the inserts and end their threads."""
        self._threads.shutdown()

    def _insert(
        self, writer: Writer, rest: deque[tuple[PartitionWork, Block]], lease_is_fresh: Callable[[], bool]
    ) -> None:
        """On a thread for inserts: take one block after the other."""
        while rest:
            try:
                work, block = rest.popleft()
            except IndexError:  # another thread took the last one
                return
            shard = block.intent.placement.shard
            if not work.is_ours or shard in self._away or not lease_is_fresh():
                continue
            try:
                self._write(writer, work.source, block)
            except InsertRefusedError as error:
                self._failed.append((work, block, error))
            except DatabaseUnavailableError as error:
                self._failed.append((work, block, error))
                self._away[shard] = error
            except InsertStateUnknownError as error:
                self._unknown.append((work, error))
            else:
                self._written.append(work)

    def _handle_failed(self) -> None:
        """Raises ``DatabaseUnavailableError`` when ClickHouse did not answer: nothing can be written for now.

        With several shards only the partitions of those that did not answer wait, unless none did.
        """
        failed, self._failed = self._failed, []
        away, self._away = self._away, {}
        unknown, self._unknown = self._unknown, []
        for work, why in unknown:
            self._stopped.stop(work, why)
        for work, block, error in failed:
            if not work.is_ours:
                continue
            if isinstance(error, DatabaseUnavailableError):
                self._refused.unanswered(work, block)
            else:
                # A block that was given up comes again without rows, for the log.
                self._refused.refused(work, block, error)
        if len(away) == self._shards:
            for unavailable in away.values():
                raise unavailable
        for work, block in self._begun:
            if work.is_ours and block.intent.placement.shard in away:
                self._refused.try_later(work, away[block.intent.placement.shard])

    def _commit_written(self) -> int:
        written = [(work, work.block) for work in self._written if work.is_ours and work.block is not None]
        for work, block in written:
            if not block.is_counted:
                self._counters[work.source.topic].add(block.record_count, block.rejected_positions)
                block.is_counted = True
            self._send_dead_letters(work.source, block)
        commit(self._consumer, [_position_after(work, block) for work, block in written])
        self._written.clear()
        for work, block in written:
            self._count(work.source.topic, block)
            work.finish()
            work.backoff.succeeded()
            if work.block is not None:
                work.block.intent_committed = True
        return len(written)

    def commit_empty_ends(self, works: Iterable[PartitionWork]) -> None:
        """Move the group past offsets without records, such as transaction markers, at the end of partitions.

        Else the group would seem to be behind for as long as no record follows. Raises ``RetryLaterError``.
        """
        at_end = [(work, offset) for work in works if (offset := work.offset_to_commit) is not None]
        commit(
            self._consumer,
            [
                (
                    work.source.topic,
                    work.source.partition,
                    offset,
                    done_metadata(work.source.topic_id, work.placement),
                )
                for work, offset in at_end
            ],
        )
        for work, offset in at_end:
            work.committed = offset

    def _resolve_replayed(self, due: Sequence[tuple[PartitionWork, Block]]) -> None:
        """A partition is stopped when it cannot be decided whether a crashed owner's block is there; it waits for its table."""
        for work, block in due:
            if block.replayed is not None and not block.intent_committed and not work.stopped:
                try:
                    self._resolve(work.source, block, block.replayed)
                except InsertStateUnknownError as error:
                    self._stopped.stop(work, error)
                except InsertRefusedError as error:
                    self._refused.try_later(work, error)

    def _commit_intents(self, under_way: Sequence[tuple[PartitionWork, Block]]) -> None:
        new = [(work, block) for work, block in under_way if not block.intent_committed]
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
        table, offsets = block.rows.table, crashed.offsets
        there = self._writers[0].count(table, offsets, block.ingested_ms, crashed.placement.shard)
        if there:
            raise InsertStateUnknownError(
                f"{source.topic} [{source.partition}] offsets {offsets.first} to {offsets.last}: a crashed sink was "
                f"inserting them; their records now make different rows (row format {crashed.row_format} then, "
                f"{ROW_FORMAT} now; content {crashed.content_hash} then, {block.intent.content_hash} now), and {there} "
                f"rows of them are in {table}. Look at them (WHERE _topic_id = '{offsets.topic_id}' AND _partition = "
                f"{offsets.partition} AND _offset BETWEEN {offsets.first} AND {offsets.last}) and stop the sinks. If they are "
                f"complete, move the group's offset to {offsets.last + 1} with kafka-consumer-groups --reset-offsets; if not, "
                "delete them. Then start the sinks again"
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

    def _write(self, writer: Writer, source: Source, block: Block) -> None:
        rows = block.rows
        if rows.data:
            started_s = time.perf_counter()
            writer.insert(rows, block.intent.token, block.intent.placement.shard)
            self._metrics.insert_seconds.labels(rows.table).observe(time.perf_counter() - started_s)
            self._metrics.last_insert_time.set_to_current_time()
            if block.replayed is not None or block.is_repeated:
                self._verify(writer, source, block)
        log_block(writer, source, block)

    def _send_dead_letters(self, source: Source, block: Block) -> None:
        rows = block.rows
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

    def _verify(self, writer: Writer, source: Source, block: Block) -> None:
        """After a replay the rows of the range must be stored, each once."""
        rows = block.rows
        there = writer.count(
            rows.table, block.intent.offsets, block.ingested_ms, block.intent.placement.shard
        )
        if there == rows.stored_rows or (rows.replaceable and there < rows.stored_rows):
            return
        raise InsertStateUnknownError(
            f"{source.topic} [{source.partition}] offsets {block.intent.first} to {block.intent.last} make "
            f"{rows.stored_rows} rows, but {there} are in {rows.table} after a repeated insert under token "
            f"{block.intent.token!r}: was the deduplication window too short, or were rows deleted?"
        )

    def _count(self, topic: str, block: Block) -> None:
        self._metrics.records.labels(topic).inc(block.record_count)
        self._metrics.rows.labels(topic).inc(block.rows.stored_rows)
        self._metrics.bytes_consumed.labels(topic).inc(block.size_bytes)
        self._metrics.blocks.labels(topic).inc()
        if block.replayed is not None:
            self._metrics.replays.labels(topic).inc()


def _position_after(work: PartitionWork, block: Block) -> tuple[str, int, int, str]:
    """What to commit after a block: the intent of the following one, which begins there, or that none is pending."""
    topic, partition = work.source.topic, work.source.partition
    if work.following is not None:
        intent = work.following.intent
        return topic, partition, intent.first, intent_metadata(intent)
    return topic, partition, block.intent.last + 1, done_metadata(work.source.topic_id, work.placement)
