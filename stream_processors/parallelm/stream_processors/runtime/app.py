"""A Faust app whose rebalances lose nothing, and which hands on chunks of records instead of single ones.

What is changed here is what Faust 0.15.3 does between fetcher and streams. A record that is lost on that way is lost for
good: the next one of its partition is handled, and its offset committed. Faust spends some 60 microseconds on each
message that passes; a chunk of records passes as one.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import faust
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage
from mode.utils.queues import FlowControlEvent

from parallelm.schemas.dead_letters import concerns
from parallelm.stream_processors.runtime.chunks import Chunk, Incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from faust.types import TP
    from faust.types.transports import TransportT


class FlowControl(FlowControlEvent):
    """Empties the queues of streams when records begin to flow, and not again while they flow.

    At the end of a recovery Faust lets the fetcher deliver, seeks, and only then resumes, for the second time
    (faust-streaming/faust#596). What had arrived in between was thrown away.
    """

    def resume(self) -> None:
        """Let records flow; those of before the rebalance are gone by then."""
        if not self.is_active():
            super().resume()


class WantedPartitions:
    """The partitions that the fetcher may take records of, looked up when it takes them.

    ``active`` changes while the fetcher waits. Between the recovery of state and the streams it is empty, and to
    aiokafka an empty set means all partitions: it took records of those that were paused, and Faust dropped them.
    """

    def __init__(self, consumer: Any, active: set[TP]) -> None:
        self._consumer = consumer
        self._active = active

    def __contains__(self, partition: object) -> bool:
        return bool(self._consumer.flow_active) and partition in self._active


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # The processors' own topics are written in transactions.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - its constructor is Faust's to call
        # Topics with equal partition counts must go to a worker together; Faust's own way of that needs tables.
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)  # noqa: SLF001 - as above
        return consumer

    @cached_property
    def assignments(self) -> Assignments:
        """For the consumer's thread."""
        return Assignments()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Know the number of the assignment before the worker hears of it."""
        subscription: Any = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - the version is pinned
        self.assignments.announced = self.assignments.number_of(subscription.assignment)
        await super().on_partitions_assigned(assigned, generation_id)

    async def is_member(self) -> bool:
        """Whether the group's coordinator still knows this consumer; raises aiokafka's errors."""
        # Not with ``call_thread``: its calls wait for one another, and for fetches.
        asked: Any = asyncio.run_coroutine_threadsafe(self._heartbeat(), self.thread_loop)
        return bool(await asyncio.wrap_future(asked))

    async def _heartbeat(self) -> bool:
        coordinator: Any = self._ensure_consumer()._coordinator  # noqa: SLF001 - the version is pinned
        await coordinator.ensure_coordinator_known()
        return bool(await coordinator._do_heartbeat())  # noqa: SLF001 - as above

    async def read_again(self, tp: TP, offset: int, assignment: int) -> None:
        """Send reading back, unless the assignment is over by then."""
        asked = asyncio.run_coroutine_threadsafe(self._send_back(tp, offset, assignment), self.thread_loop)
        await asyncio.wrap_future(asked)

    async def _send_back(self, tp: TP, offset: int, number: int) -> None:
        consumer: Any = self._ensure_consumer()
        subscription: Any = consumer._subscription.subscription  # noqa: SLF001 - the version is pinned
        assignment: Any = subscription.assignment if subscription is not None else None
        if (
            assignment is not None
            and tp in assignment.tps
            and self.assignments.number_of(assignment) == number
        ):
            consumer.seek(tp, offset)

    async def _fetch_records(self, consumer: Any, active_partitions: Any, *more: Any, **options: Any) -> Any:
        wanted: Any = WantedPartitions(self.consumer, active_partitions)
        records = await super()._fetch_records(consumer, wanted, *more, **options)
        return with_positions(consumer, records, active_partitions, self.assignments)


class Assignments:
    """Numbers the assignments of a consumer: each time that it joins its group it gets a new one."""

    def __init__(self) -> None:
        self.announced = -1
        """The one that the worker was told of last."""
        self._newest: Any = None
        self._positions: dict[TP, int] = {}
        self._number = 0

    def number_of(self, assignment: Any) -> int:
        """Number of aiokafka's current assignment."""
        if assignment is not self._newest:
            self._newest, self._number = assignment, self._number + 1
            self._positions.clear()
        return self._number

    def moved(self, tp: TP, first: int, position: int) -> int | None:
        """Where reading stood before it went on from ``first`` to ``position``; None when that is not known.

        That is so at the beginning, and when it was sent back: Faust seeks once it has recovered.
        """
        before = self._positions.get(tp)
        self._positions[tp] = position
        return before if before is not None and before <= min(first, position) else None


class Fetched(NamedTuple):
    """What was fetched of one partition; the fields are those of ``Chunk``."""

    assignment: int
    first_offset: int | None
    next_offset: int
    end: int
    records: Sequence[Any]


def with_positions(consumer: Any, records: Any, active: Any, assignments: Assignments) -> dict[TP, Fetched]:
    """What was fetched, by partition, with positions; those that reading has not come on in are left out.

    Read here, in the consumer's own thread, in one go with the records: a moment later they may be of another assignment.
    """
    subscription: Any = consumer._subscription.subscription  # noqa: SLF001 - the version is pinned
    assignment: Any = subscription.assignment if subscription is not None else None
    found: dict[TP, Fetched] = {}
    for tp in assignment.tps if assignment is not None and active else ():
        state, number = assignment.state_value(tp), assignments.number_of(assignment)
        fetched = records.get(tp, ())
        if fetched:
            position = state.position if state.has_valid_position else fetched[-1].offset + 1
        elif state.has_valid_position and not consumer._fetcher._records.get(tp):  # noqa: SLF001 - as above
            position = state.position
        else:
            continue
        before = assignments.moved(tp, fetched[0].offset if fetched else position, position)
        if fetched or position != before:
            found[tp] = Fetched(number, before, position, max(position, state.highwater or 0), fetched)
    return found


class NoReadOffsets(dict[Any, Any]):
    """In place of Faust's record of what was read: it never says that a message was read before.

    Faust writes the offset of a message there when the message has been taken, which may be after a rebalance has sent
    reading back. Everything up to that offset was then dropped as read. A shard knows itself what it has handled.
    """

    def __getitem__(self, tp: Any) -> None:
        """Nothing was read."""
        return

    def __setitem__(self, tp: Any, offset: Any) -> None:
        """It is not remembered."""

    def update(self, *_: Any, **__: Any) -> None:
        """As for one of them."""


class _Consumer(driver.Consumer):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._read_offset = NoReadOffsets()

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def is_member(self) -> bool:
        """Whether the group's coordinator still knows this consumer; raises aiokafka's errors."""
        thread: Any = self._thread
        return bool(await thread.is_member())

    async def read_again(self, tp: TP, offset: int, assignment: int) -> None:
        """Read a partition again from an offset on, if it is this consumer's under the assignment of this number."""
        thread: Any = self._thread
        await thread.read_again(tp, offset, assignment)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - Faust's signature
        """Chunks by partition, each as one message whose value is the ``Chunk``."""
        found, _ = await self._wait_next_records(timeout)
        fetched: Fetched
        for tp, fetched in cast("Any", found or {}).items():
            if self.should_stop or not self.flow_active:
                break
            records = _incoming(tp, fetched.records, self.app.conf.id)
            chunk = Chunk(tp.topic, tp.partition, *fetched[:4], records)
            # Faust skips messages of another generation than the one it knows; whose a chunk is, the worker decides.
            yield tp, _message(tp, self.app.consumer_generation_id, chunk)

    @property
    def assignment_number(self) -> int:
        """Number of the assignment that the worker was told of last."""
        thread: Any = self._thread
        return int(thread.assignments.announced)


def _incoming(tp: TP, records: Sequence[Any], group: str) -> list[Incoming]:
    return [
        Incoming(tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value)
        for record in records
        if concerns(record.headers, group)
    ]


def _message(tp: TP, generation: int, chunk: Any) -> ConsumerMessage:
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        chunk.next_offset - 1,
        0.0,
        0,
        None,
        None,
        chunk,
        None,
        0,
        0,
        tp,
        generation_id=generation,
    )


class _Transport(driver.Transport):
    Consumer = _Consumer


class Tables(TableManager):
    """Starts at once: Faust gives tables a second to be declared, and here all of them are before the app starts."""

    async def on_start(self) -> None:
        """As Faust does it after that second."""
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """Use it like ``faust.App``, with a broker whose URL begins with ``kafka://``."""

    @cached_property
    def flow_control(self) -> FlowControlEvent:
        """Shared by all queues of the app."""
        return FlowControl(loop=self.loop)

    def _new_transport(self) -> TransportT:
        return _Transport(self.conf.broker_consumer, self)
