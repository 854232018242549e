"""A Faust app whose rebalances lose nothing, and which hands on chunks of records instead of single ones.

What is changed here is what Faust 0.15.3 does between fetcher and streams. A record that is lost on that way is lost for
good: the next one of its partition is handled, and its offset committed. Faust spends some 60 microseconds on each
message that passes; a chunk of records passes as one.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any

import faust
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage
from mode.utils.queues import FlowControlEvent

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

    async def is_member(self) -> bool:
        """Whether the group's coordinator still knows this consumer; raises aiokafka's errors."""
        # Not with ``call_thread``: its calls wait for one another, and for fetches.
        asked: Any = asyncio.run_coroutine_threadsafe(self._heartbeat(), self.thread_loop)
        return bool(await asyncio.wrap_future(asked))

    async def _heartbeat(self) -> bool:
        coordinator: Any = self._ensure_consumer()._coordinator  # noqa: SLF001 - the version is pinned
        await coordinator.ensure_coordinator_known()
        return bool(await coordinator._do_heartbeat())  # noqa: SLF001 - as above

    async def _fetch_records(self, consumer: Any, active_partitions: Any, *more: Any, **options: Any) -> Any:
        wanted: Any = WantedPartitions(self.consumer, active_partitions)
        records = await super()._fetch_records(consumer, wanted, *more, **options)
        return with_positions(consumer, records, active_partitions)


def with_positions(consumer: Any, records: Any, active: Any) -> dict[TP, tuple[int, int, int, Sequence[Any]]]:
    """Generation, the offset where reading goes on, the partition's end, and records, by partition.

    Read here, in the consumer's own thread, in one go with the records: a moment later they may be of another generation.
    """
    generation = consumer._coordinator.generation  # noqa: SLF001 - the version is pinned
    subscription: Any = consumer._subscription.subscription  # noqa: SLF001 - as above
    assignment: Any = subscription.assignment if subscription is not None else None
    found: dict[TP, tuple[int, int, int, Sequence[Any]]] = {}
    for tp in assignment.tps if assignment is not None and active else ():
        state = assignment.state_value(tp)
        if tp in records:
            position = state.position if state.has_valid_position else records[tp][-1].offset + 1
            found[tp] = (generation, position, max(position, state.highwater or 0), records[tp])
        elif state.has_valid_position and not consumer._fetcher._records.get(tp):  # noqa: SLF001 - as above
            found[tp] = (generation, state.position, max(state.position, state.highwater or 0), ())
    return found


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def is_member(self) -> bool:
        """Whether the group's coordinator still knows this consumer; raises aiokafka's errors."""
        thread: Any = self._thread
        return bool(await thread.is_member())

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - Faust's signature
        """Chunks by partition, each as one message whose value is the ``Chunk``."""
        found, _ = await self._wait_next_records(timeout)
        for tp, (generation, next_offset, end, records) in (found or {}).items():
            if self.should_stop or not self.flow_active:
                break
            handed_on = self._handed_on.get(tp)
            if not records and handed_on == (generation, next_offset):
                continue
            self._handed_on[tp] = (generation, next_offset)
            # Faust skips messages of another generation than the one it knows; whose a chunk is, the worker decides.
            yield (
                tp,
                _message(
                    tp,
                    self.app.consumer_generation_id,
                    Chunk(tp.topic, tp.partition, generation, next_offset, end, _incoming(tp, records)),
                ),
            )

    @cached_property
    def _handed_on(self) -> dict[TP, tuple[int, int]]:
        """Generation and next offset of the last chunk of each partition."""
        return {}


def _incoming(tp: TP, records: Sequence[Any]) -> list[Incoming]:
    return [
        Incoming(tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value)
        for record in records
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
