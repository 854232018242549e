"""A Faust app whose rebalances lose nothing. What is mended here is what Faust 0.15.3 does between fetcher and streams.

A record that is lost on that way is lost permanently: the next one of its partition is handled, and its offset committed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import faust
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import FlowControlEvent

if TYPE_CHECKING:
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
    async def _fetch_records(self, consumer: Any, active_partitions: Any, *more: Any, **options: Any) -> Any:
        wanted: Any = WantedPartitions(self.consumer, active_partitions)
        return await super()._fetch_records(consumer, wanted, *more, **options)


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


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
