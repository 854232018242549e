"""One partition's worth of work: its state, its transactions, and the loop that handles what comes in.

A shard belongs to one partition number of a stage's topics. Records, the state that they change, the records that follow
from them and the offsets up to which all this holds are one transaction: handled once in effect, whoever handles them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.stream_processors.runtime import metrics
from parallelm.stream_processors.runtime.clock import Clock
from parallelm.stream_processors.runtime.continuity import Continuity
from parallelm.stream_processors.runtime.dead_letters import stage_of
from parallelm.stream_processors.runtime.patience import FATAL, TRANSIENT, with_patience
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key, StateStore, StateTooLargeError
from parallelm.stream_processors.runtime.transactions import (
    FencedError,
    Output,
    TransactionError,
    checked,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.runtime.chunks import Chunk, Incoming
    from parallelm.stream_processors.runtime.surroundings import Handler, Surroundings
    from parallelm.stream_processors.runtime.transactions import Transactions

logger = logging.getLogger(__name__)

MAX_RECORDS = 4_000
"""Records of one batch."""
COMMIT_INTERVAL_S = 0.25
"""Offsets of records that change nothing are committed this often."""
TRANSACTION_SPACING_S = 0.1
"""Between two transactions of a shard at least."""
MAX_FENCED, FENCED_WINDOW_S = 8, 120.0
"""A shard that is fenced more often within that time has two owners: it gives up. Pauses are not as many.

On a busy machine two owners take some ten seconds to open a shard in turn.
"""
POSITIONS = "positions"


@dataclass(frozen=True, slots=True)
class Positions:
    """Where each topic's reading goes on, with the id of the topic that the offset is of."""

    next_offsets: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def due_ms(self) -> float | None:
        """Time changes nothing here."""
        return None


POSITIONS_KEY = Key(POSITIONS, "")


class Shard:
    """Handles the chunks of one partition number, in order."""

    def __init__(self, stage: str, partition: int, handler: Handler, around: Surroundings) -> None:
        self.stage = stage
        self.partition = partition
        self.is_open = asyncio.Event()
        self.progress = time.monotonic()
        """When the last batch was finished, or when it was seen that there is nothing to work on."""
        self._handler = handler
        self._around = around
        self._settled = asyncio.Event()
        self._settled.set()
        self._arrived: asyncio.Queue[Chunk] = asyncio.Queue(64)
        self._transactions: Transactions | None = None
        self._store = self._new_store()
        self._next: dict[str, int] = {}
        self._uncommitted: dict[str, int] = {}
        self._committed: dict[str, int] = {}
        self._last_commit = 0.0
        self._clock = Clock()
        self._asking: asyncio.Future[Mapping[str, int] | None] | None = None
        self._continuity = Continuity()
        self._fenced_at: list[float] = []
        self._lagging: set[str] = set()
        """Topics whose lag is shown."""

    async def put(self, chunk: Chunk) -> None:
        """Hand over a chunk; waits while too many are ahead of it."""
        await self._arrived.put(chunk)

    async def run(self) -> None:
        """Work until cancelled; raises ``FencedError`` when it has two owners, and errors that no record is at fault for."""
        try:
            await self._open()
            while True:
                await self._pace()
                chunks = await self._take()
                try:
                    await self._handle(chunks)
                finally:
                    self._settled.set()
                if chunks:
                    self.progress = time.monotonic()
        finally:
            if self._asking is not None:
                self._asking.cancel()
            for topic in self._lagging:
                metrics.LAG.remove(topic, self.partition)
            if self._transactions is not None:
                await self._transactions.close()

    async def settled(self) -> None:
        """Wait until no batch is under way, and no opening that would fence others.

        Once a rebalance has begun, none begins before its end.
        """
        await self._settled.wait()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be handled."""
        return self._arrived.empty()

    # ---- opening ------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Fence the earlier owner, then read what it has left."""
        self.is_open.clear()
        await with_patience(self._try_to_open, f"opening {self.stage} shard {self.partition}")
        self.is_open.set()

    async def _try_to_open(self) -> None:
        await self._around.assignment_known()
        self._settled.clear()
        try:
            if self._transactions is not None:
                await self._transactions.close()
            self._transactions = self._around.open_transactions()
            # One that was paused and has lost the partition meanwhile must not fence its new owner.
            if not await self._around.is_member():
                raise ConnectionError("the consumer group does not know this worker any more")
            await self._transactions.open()
        finally:
            self._settled.set()
        store = self._new_store()
        for key, value in await self._around.read_changelog():
            store.load(key, value)
        self._store, self._committed = store, {}
        self._handler.opened(store)
        known: Positions = store.get(POSITIONS_KEY) or Positions()
        self._next = {
            topic: offset
            for topic, (topic_id, offset) in known.next_offsets.items()
            if self._around.topic_ids.get(topic) == topic_id
        }

    def _new_store(self) -> StateStore:
        return StateStore({**self._handler.kinds, POSITIONS: BodyKind(Positions)})

    # ---- working ------------------------------------------------------------------------------------------------

    async def _pace(self) -> None:
        """Leave time between transactions, so that under load a batch is large and the broker is not kept busy by them."""
        early_s = self._last_commit + TRANSACTION_SPACING_S - time.monotonic()
        if early_s > 0:
            await asyncio.sleep(early_s)

    async def _take(self) -> list[Chunk]:
        """What has arrived; empty when nothing has for a while."""
        try:
            async with asyncio.timeout(COMMIT_INTERVAL_S):
                chunks = [await self._arrived.get()]
        except TimeoutError:
            return []
        records = len(chunks[0].records)
        while records < MAX_RECORDS and not self._arrived.empty():
            chunk = self._arrived.get_nowait()
            records += len(chunk.records)
            chunks.append(chunk)
        return chunks

    async def _handle(self, chunks: Sequence[Chunk]) -> None:
        started = time.perf_counter()
        chunks = await self._without_gaps(chunks)
        while True:
            await self._around.assignment_known()
            self._settled.clear()
            mine = [chunk for chunk in chunks if self._around.is_mine(chunk.assignment)]
            records = [
                record
                for chunk in mine
                for record in chunk.records
                if record.offset >= self._next.get(record.topic, 0)
            ]
            await self._around.know_schemas(records)
            await with_patience(lambda found=records: self._handler.prepare(found), self.stage)  # type: ignore[misc]
            outputs = self._apply(records)
            offsets = self._offsets(mine)
            outputs += self._tick(offsets)
            outputs += self._handler.finish(self._store)
            try:
                await self._commit(outputs, offsets)
            except (TransactionError, FencedError) as error:
                if isinstance(error, FencedError):
                    self._fenced(error)
                metrics.RETRIES.labels(type(error).__name__).inc()
                logger.warning("%s shard %d: %s; opening it again", self.stage, self.partition, error)
                self._settled.set()
                await self._open()
                continue
            break
        for chunk in mine:
            self._lagging.add(chunk.topic)
            metrics.LAG.labels(chunk.topic, self.partition).set(chunk.end - chunk.next_offset)
        for record in records:
            metrics.RECORDS.labels(record.topic).inc()
        if records:
            metrics.BATCH_SECONDS.labels(self.stage).observe(time.perf_counter() - started)

    async def _without_gaps(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Those of this assignment that follow what has come before; where one was lost on its way, reading is sent back."""
        found, sent_back = [], set()
        for chunk in chunks:
            if not self._around.is_mine(chunk.assignment):
                continue
            missing = self._continuity.missing_from(chunk, self._next.get(chunk.topic, 0))
            if missing is None:
                found.append(chunk)
            elif chunk.topic not in sent_back:
                sent_back.add(chunk.topic)
                metrics.READ_AGAIN.labels(chunk.topic).inc()
                place = (chunk.topic, chunk.partition)
                logger.warning("%s/%d: reading %d to %s again", *place, missing, chunk.first_offset)
                await self._around.read_again(*place, missing, chunk.assignment)
        return found

    def _fenced(self, error: FencedError) -> None:
        """Another one has opened the shard: its new owner, or one that was paused while it still was the owner.

        Which of them it belongs to the group knows. Raises the error when that does not settle it.
        """
        now = time.monotonic()
        self._fenced_at = [at for at in self._fenced_at if now - at < FENCED_WINDOW_S] + [now]
        if len(self._fenced_at) > MAX_FENCED:
            raise FencedError(
                f"{self.stage} shard {self.partition} was opened by another worker {MAX_FENCED + 1} times within "
                f"{FENCED_WINDOW_S:.0f} s while it is this worker's ({error})"
            ) from error

    def _apply(self, records: Sequence[Incoming]) -> list[Output]:
        """Outputs of a batch; every record is applied whole or not at all."""
        try:
            outputs = self._apply_each(records, measure=False)
            self._store.changes()
        except StateTooLargeError:
            self._store.discard()
            outputs = self._apply_each(records, measure=True)
        return outputs

    def _apply_each(self, records: Sequence[Incoming], *, measure: bool) -> list[Output]:
        store, outputs = self._store, []
        for record in records:
            store.begin_record()
            try:
                new = [checked(output) for output in self._handler.handle(store, record)]
                if measure:
                    for key in store.changed_in_record():
                        store.encode(key)
            except FATAL:
                raise
            except Exception as error:  # noqa: BLE001 - the next record is handled whatever this one raises
                store.undo_record()
                stage = stage_of(error, self.stage)
                place = f"{record.topic}/{record.partition}@{record.offset}"
                logger.warning(
                    "%s goes to the dead letters (%s): %s: %s", place, stage, type(error).__name__, error
                )
                new = [self._around.dead_letter(record, stage, error)]
            outputs += new
        return outputs

    def _offsets(self, chunks: Sequence[Chunk]) -> dict[str, int]:
        offsets = dict(self._uncommitted)
        for chunk in chunks:
            offsets[chunk.topic] = max(chunk.next_offset, offsets.get(chunk.topic, 0))
        # Where the group's offsets were lost, what comes again is behind what is known.
        return {topic: max(offset, self._next.get(topic, 0)) for topic, offset in offsets.items()}

    def _tick(self, offsets: Mapping[str, int]) -> list[Output]:
        """Let time pass once every record that had arrived by then is handled."""
        self._ask_for_ends()
        at_ms = self._clock.time_handled({**self._next, **offsets})
        if at_ms is None:
            return []
        self.progress = time.monotonic()
        return list(self._handler.on_time(self._store, at_ms))

    def _ask_for_ends(self) -> None:
        """Beside the work: a cluster that does not answer holds up time, and no records."""
        if self._asking is not None and self._asking.done():
            answer, self._asking = self._asking, None
            with contextlib.suppress(*TRANSIENT):
                self._clock.ends = answer.result()
        if self._asking is None and self._clock.wants_ends() and self.idle:
            self._asking = asyncio.ensure_future(self._around.ends())

    async def _commit(self, outputs: list[Output], offsets: dict[str, int]) -> None:
        """One transaction for all of it; nothing is sent while there is nothing to say."""
        assert self._transactions is not None  # noqa: S101 - opened before
        changes = self._store.changes()
        now = time.monotonic()
        fresh = {topic: offset for topic, offset in offsets.items() if offset != self._committed.get(topic)}
        asks_time = self._clock.wants_time(now)
        if not (changes or outputs or asks_time) and (
            not fresh or now - self._last_commit < COMMIT_INTERVAL_S
        ):
            self._uncommitted = offsets
            self._advance(offsets)
            return
        self._advance(offsets)
        self._store.put(POSITIONS_KEY, self._positions())
        changes[POSITIONS_KEY] = self._store.encode(POSITIONS_KEY)
        records = [
            Output(self._around.changelog, key.to_bytes(), self._around.encode_state(record), self.partition)
            for key, record in changes.items()
        ]
        places = {(topic, self.partition): offset for topic, offset in offsets.items()}
        arrived_ms = await self._transactions.commit([*records, *outputs], places)
        self._store.commit()
        self._committed |= offsets
        self._uncommitted = {}
        self._last_commit = time.monotonic()
        self._clock.set_time(arrived_ms, now)
        for output in outputs:
            metrics.OUTPUTS.labels(output.topic).inc()
        metrics.KEYS.labels(self.stage, self.partition).set(len(self._store))

    def _advance(self, offsets: Mapping[str, int]) -> None:
        for topic, offset in offsets.items():
            self._next[topic] = max(offset, self._next.get(topic, 0))

    def _positions(self) -> Positions:
        return Positions(
            {topic: (self._around.topic_ids.get(topic, ""), offset) for topic, offset in self._next.items()}
        )
