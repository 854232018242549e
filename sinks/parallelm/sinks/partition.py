"""The work on one partition: records read, the block being written, and what a crashed owner left behind."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from operator import attrgetter
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
from parallelm.sinks.intent import ONE_SERVER, ROW_FORMAT, Intent, Placement
from parallelm.sinks.native import NativeBlock
from parallelm.sinks.rows import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.sinks.backoff import Backoff
    from parallelm.sinks.rows import RowMaker, Rows, Source

_BYTES_A_BYTE = 4
"""Memory of a byte of a record as Python objects of its row."""


@dataclass(slots=True, kw_only=True)
class Block:
    """One block on its way into ClickHouse. It stays unchanged through every retry, until it is stored."""

    intent: Intent
    rows: Rows
    records: Sequence[ConsumedRecord]
    size_bytes: int
    """Bytes of its records."""
    ingested_ms: tuple[int, int]
    """First and last arrival on Kafka."""
    replayed: Intent | None
    """The intent that it was rebuilt from; None for a new block."""
    intent_committed: bool
    is_under_way: bool = False
    """Whether it is being inserted now."""
    is_repeated: bool = False
    """Whether it was sent before, and may be stored."""

    is_confirmed: bool = False
    """Whether its topic was the same one after its records were read."""
    is_counted: bool = False
    """Whether its dead letters were counted, or were accepted by a person."""

    @property
    def record_count(self) -> int:
        """How many records it holds."""
        return len(self.records)

    @property
    def rejected_positions(self) -> list[int]:
        """Which of its records cannot become rows, counted from 0, ascending."""
        rejected = {each.record.offset for each in self.rows.rejected}
        return (
            [position for position, record in enumerate(self.records) if record.offset in rejected]
            if rejected
            else []
        )

    @property
    def held_bytes(self) -> int:
        """Memory of its rows, roughly."""
        data = self.rows.data
        rows = data.size_bytes if isinstance(data, NativeBlock) else _BYTES_A_BYTE * self.size_bytes
        return rows + self.size_bytes

    def give_up(self, error: Exception) -> None:
        """Make its only record a dead letter: the server refuses it."""
        self.rows.rejected.append(Rejected(self.records[0], "insert", error))
        self.rows.data, self.rows.stored_rows = (), 0


@dataclass(slots=True)
class PartitionWork:
    """One owned partition."""

    source: Source
    row_maker: RowMaker
    backoff: Backoff
    replay: Intent | None
    """Block that may or may not be in ClickHouse: it is rebuilt before anything else is written."""
    placement: Placement = ONE_SERVER
    """Where new blocks go. The block of a crashed owner goes where its intent says."""
    settled_at_s: float = 0.0
    """Monotonic time from which on no insert of an earlier owner can be running: an insert ends before its lease does."""
    pending: list[ConsumedRecord] = field(default_factory=list)
    pending_bytes: int = 0
    """Memory that they take."""
    waiting_since_s: float = math.inf
    """Monotonic time at which the first of them was read, or the last block was made of what came before them."""
    end_offset: int | None = None
    """End of the partition, when the consumer reached it last."""
    position: int | None = None
    """Offset where reading goes on; None before the first record."""
    committed: int = 0
    """Offset that was committed last."""
    block: Block | None = None
    """Block to be delivered, or being delivered."""
    following: Block | None = None
    """The one after it, made while it is being delivered."""
    ends: list[int] = field(default_factory=list)
    """Offsets at which the next blocks have to end, the nearest last: a block that was refused is written in pieces."""
    is_ours: bool = True
    """False once the partition was taken away."""
    stopped: str = ""
    """Why it waits for a person; empty unless it does."""

    def add(self, record: ConsumedRecord) -> None:
        """Take one record that was read."""
        if not self.pending:
            self.waiting_since_s = time.monotonic()
        self.pending.append(record)
        self.pending_bytes += record.held_bytes
        self.position = record.offset + 1

    @property
    def is_failing(self) -> bool:
        """Whether it cannot be written for now."""
        return bool(self.stopped) or self.backoff.is_failing

    def writes_pieces(self, now_s: float) -> bool:
        """Whether a refused block is being written in pieces, and does not wait."""
        return bool(self.ends) and not self.stopped and not self.backoff.waits(now_s)

    @property
    def is_to_be_confirmed(self) -> bool:
        """Whether it has a block of which it is not known that its records are of the topic that ``source`` names."""
        made = (self.block, self.following)
        return not self.stopped and any(block is not None and not block.is_confirmed for block in made)

    @property
    def is_due(self) -> bool:
        """Whether a block of it is inserted in the next round."""
        if self.block is None or self.block.is_under_way:
            return self.following is not None
        # What the tables say about the block of a crashed owner must be final; its insert may outlive it.
        asks = self.block.replayed is not None and not self.block.intent_committed
        return not asks or time.monotonic() >= self.settled_at_s

    @property
    def made_bytes(self) -> int:
        """Memory of the blocks that are made and wait to be inserted."""
        made = (self.block, self.following)
        return sum(each.held_bytes for each in made if each is not None and not each.is_under_way)

    def make_block(self) -> Block | None:
        """Make the next block of what is pending, to be delivered now or after the one under way.

        None when nothing is pending, or both are there already. Raises ``RetryLaterError`` when the schema of a record
        is not available now.
        """
        if self.following is not None or not (length := self._next_length()):
            return None
        made = self._make_block(length)
        if self.block is None:
            self.block = made
        else:
            self.following = made
        return made

    def halve(self, block: Block) -> None:
        """Take back the block to be delivered, of which nothing is stored: it is made again as two."""
        again = [*block.records, *(self.following.records if self.following else ())]
        self.pending[:0] = again
        self.pending_bytes += sum(record.held_bytes for record in again)
        self.waiting_since_s = time.monotonic()
        self.ends += [block.intent.last, block.records[block.record_count // 2 - 1].offset]
        self.block = self.following = None

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
            while self.ends and self.ends[-1] <= self.block.intent.last:
                self.ends.pop()
        self.block, self.following = self.following, None

    def _next_length(self) -> int:
        if self.replay is None:
            return self._fresh_length()
        length = replay_length(self.pending, self.replay.last, self.end_offset)
        if length == 0:
            # Nothing of the range is left on Kafka: there is nothing to insert, and nothing to compare with.
            self.replay = None
            return self._fresh_length()
        return length or 0

    def _fresh_length(self) -> int:
        if not self.ends:
            return block_length(self.pending)
        return block_length(
            self.pending[: bisect_right(self.pending, self.ends[-1], key=attrgetter("offset"))]
        )

    def _make_block(self, length: int) -> Block:
        candidates = self.pending[:length]
        try:
            rows = self.row_maker.rows(candidates, self.source)
        except SchemaError as error:
            raise RetryLaterError(f"{self.source.topic} [{self.source.partition}]: {error}") from error
        records = candidates[: rows.record_count]
        size_bytes = sum(record.size_bytes for record in records)
        del self.pending[: len(records)]
        self.waiting_since_s = time.monotonic() if self.pending else math.inf
        self.pending_bytes -= sum(record.held_bytes for record in records)
        intent = self._intent(records)
        replayed, self.replay = self.replay, None
        same = replayed is not None and (replayed.content_hash, replayed.row_format) == (
            intent.content_hash,
            ROW_FORMAT,
        )
        arrivals = [record.ingested_at_ms for record in records]
        return Block(
            intent=replayed if same and replayed else intent,
            rows=rows,
            records=records,
            size_bytes=size_bytes,
            ingested_ms=(min(arrivals), max(arrivals)),
            replayed=replayed,
            intent_committed=same,
        )

    def _intent(self, records: Sequence[ConsumedRecord]) -> Intent:
        source = self.source
        offsets = OffsetRange(source.topic_id, source.partition, records[0].offset, records[-1].offset)
        return Intent(
            source.topic_id,
            source.partition,
            offsets.first,
            offsets.last,
            offsets.token,
            content_hash(records),
            ROW_FORMAT,
            self.placement if self.replay is None else self.replay.placement,
        )
