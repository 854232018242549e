"""The work on one partition: records read, the block being written, and what a crashed owner left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.schemas.errors import SchemaError
from parallelm.sinks.blocks import (
    ConsumedRecord,
    OffsetRange,
    block_length,
    content_hash,
    replay_length,
)
from parallelm.sinks.errors import RetryLaterError
from parallelm.sinks.intent import ROW_FORMAT, Intent

if TYPE_CHECKING:
    from parallelm.sinks.backoff import Backoff
    from parallelm.sinks.rows import RowMaker, Rows, Source


@dataclass(slots=True)
class Block:
    """One block on its way into ClickHouse. It stays unchanged through every retry, until it is stored."""

    intent: Intent
    records: list[ConsumedRecord]
    rows: Rows
    replayed: Intent | None
    """The intent that it was rebuilt from; None for a new block."""
    intent_committed: bool

    @property
    def ingested_ms(self) -> tuple[int, int]:
        """First and last arrival on Kafka."""
        times = [record.ingested_at_ms for record in self.records]
        return min(times), max(times)

    @property
    def size_bytes(self) -> int:
        """Bytes of its records."""
        return sum(record.size_bytes for record in self.records)

    @property
    def rejected_positions(self) -> list[int]:
        """Which of its records cannot become rows, counted from 0, ascending."""
        if not self.rows.rejected:
            return []
        rejected = {each.record.offset for each in self.rows.rejected}
        return [position for position, record in enumerate(self.records) if record.offset in rejected]


@dataclass(slots=True)
class PartitionWork:
    """One owned partition."""

    source: Source
    row_maker: RowMaker
    backoff: Backoff
    replay: Intent | None
    """Block that may or may not be in ClickHouse: it is rebuilt before anything else is written."""
    pending: list[ConsumedRecord] = field(default_factory=list)
    pending_bytes: int = 0
    end_offset: int | None = None
    """End of the partition, when the consumer reached it last."""
    position: int | None = None
    """Offset where reading goes on; None before the first record."""
    committed: int = 0
    """Offset that was committed last."""
    block: Block | None = None

    def add(self, record: ConsumedRecord) -> None:
        """Take one record that was read."""
        self.pending.append(record)
        self.pending_bytes += record.size_bytes
        self.position = record.offset + 1

    @property
    def held_bytes(self) -> int:
        """Bytes of records in memory."""
        return self.pending_bytes + (self.block.size_bytes if self.block else 0)

    def next_block(self) -> Block | None:
        """The block to write now: the one under way, or a new one of what is pending; None when there is none.

        Raises ``RetryLaterError`` when the schema of a record is not available now.
        """
        if self.block is None:
            length = self._next_length()
            if length:
                self.block = self._make_block(length)
        return self.block

    def reached_end(self, offset: int) -> None:
        """All below ``offset`` was read; behind the last record there may be markers of transactions."""
        self.end_offset = offset
        self.position = max(offset, self.position or 0)

    @property
    def offset_to_commit(self) -> int | None:
        """End of the partition when all before it is in ClickHouse and it lies behind what was committed; else None."""
        at_end = self.position is not None and self.position == self.end_offset
        if not at_end or self.pending or self.block is not None or self.replay is not None:
            return None
        return self.end_offset if self.end_offset != self.committed else None

    def finish(self) -> None:
        """The block under way is in ClickHouse."""
        if self.block is not None:
            self.committed = self.block.intent.last + 1
        self.block = None
        self.replay = None

    def _next_length(self) -> int:
        if self.replay is None:
            return block_length(self.pending)
        length = replay_length(self.pending, self.replay.last, self.end_offset)
        if length == 0:
            # Nothing of the range is left on Kafka: there is nothing to insert, and nothing to compare with.
            self.replay = None
            return block_length(self.pending)
        return length or 0

    def _make_block(self, length: int) -> Block:
        records = self.pending[:length]
        try:
            rows = self.row_maker.rows(records, self.source)
        except SchemaError as error:
            raise RetryLaterError(f"{self.source.topic} [{self.source.partition}]: {error}") from error
        offsets = OffsetRange(
            self.source.topic_id, self.source.partition, records[0].offset, records[-1].offset
        )
        del self.pending[:length]
        self.pending_bytes -= sum(record.size_bytes for record in records)
        found_hash = content_hash(records)
        intent = Intent(
            offsets.topic_id,
            offsets.partition,
            offsets.first,
            offsets.last,
            offsets.token,
            found_hash,
            ROW_FORMAT,
        )
        replayed = self.replay
        same = replayed is not None and (replayed.content_hash, replayed.row_format) == (
            found_hash,
            ROW_FORMAT,
        )
        return Block(
            replayed if same and replayed else intent, records, rows, replayed, intent_committed=same
        )
