"""Blocks whose insert failed: tried again by their partition alone, cut into pieces, or given up as a dead letter."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.sinks.errors import DatabaseUnavailableError, InsertRefusedError, RetryLaterError
from parallelm.sinks.refusal import Step, may_be_cut, next_step
from parallelm.sinks.tables import counted_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.sinks.partition import Block, PartitionWork
    from parallelm.sinks.server_errors import Kind
    from parallelm.sinks.writer import Writer

_LOG = logging.getLogger(__name__)

_LAST_RESORT = counted_in(topics.DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class RefusedBlocks:
    """Handles failed inserts, one at a time, on the polling thread while no insert is running."""

    writer: Writer
    """For questions."""
    settle_s: float
    """An insert whose answer is missing has ended after this time."""
    patience_s: float
    """One record that is too large for the server's memory for so long is too large."""
    try_later: Callable[[PartitionWork, RetryLaterError], None]
    """Lets a partition wait."""

    def unanswered(self, work: PartitionWork, block: Block) -> None:
        """Nothing is known of the insert of this block: it may still be running."""
        block.is_repeated = True
        work.settled_at_s = time.monotonic() + self.settle_s

    def refused(self, work: PartitionWork, block: Block, error: InsertRefusedError) -> None:
        """Do what the answer asks for."""
        block.is_repeated = True
        try:
            step, there = self._step(work, block, error.kind)
        except (DatabaseUnavailableError, InsertRefusedError):
            step, there = Step.AGAIN, 0
        source, intent = work.source, block.intent
        if step is Step.HALVE:
            _LOG.warning(
                "%s [%d]: offsets %d to %d are written in pieces: %s",
                source.topic, source.partition, intent.first, intent.last, error,
            )  # fmt: skip
            work.halve(block)
        elif step is Step.GIVE_UP:
            block.give_up(error)
        else:
            self.try_later(work, _with_rows(error, block, there) if there else error)

    def _step(self, work: PartitionWork, block: Block, kind: Kind) -> tuple[Step, int]:
        now_s = time.monotonic()
        is_settled = now_s >= work.settled_at_s
        # A dead letter that cannot be stored must not make another one, which could not be stored either.
        is_last_resort = block.rows.table == _LAST_RESORT and block.record_count == 1
        if not is_settled or not may_be_cut(kind) or is_last_resort:
            return Step.AGAIN, 0
        intent = block.intent
        there = self.writer.count(block.rows.table, intent.offsets, block.ingested_ms, intent.placement.shard)
        step = next_step(
            kind,
            record_count=block.record_count,
            is_settled=is_settled,
            stored_rows=there,
            waited_enough=work.backoff.failing(now_s)[0] >= self.patience_s,
        )
        return step, there


def _with_rows(error: InsertRefusedError, block: Block, there: int) -> InsertRefusedError:
    """What makes a refused block impossible to cut."""
    return InsertRefusedError(
        f"{error}. Of its {block.rows.stored_rows} rows {there} are in {block.rows.table} already, so it is repeated as "
        "it is: a view behind the table refuses it, or could not be written for another reason",
        error.kind,
    )
