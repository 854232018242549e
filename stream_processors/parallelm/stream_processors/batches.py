"""From a Faust stream to batches: whatever has arrived, at once, and never across a rebalance."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from faust.types import TP

from parallelm.stream_processors import metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    import faust

    from parallelm.stream_processors.sending import KafkaEffects

MAX_RECORDS = 500
"""Records of one batch."""
_REVOKE_WAIT_S = 30.0


class BatchHandler(Protocol):
    """What is done with a batch."""

    name: str

    async def handle(self, messages: Sequence[Any]) -> None:
        """Handle Faust messages in their order; return when everything that follows from them is durable.

        Must not raise for a bad record. What it raises stops the worker.
        """


class Batches:
    """Feeds one handler, commits what it has handled, and keeps a rebalance waiting until it is done."""

    def __init__(self, app: faust.App, effects: KafkaEffects, handler: BatchHandler) -> None:
        self._app = app
        self._effects = effects
        self._handler = handler
        self._busy = asyncio.Lock()
        self._arrived: asyncio.Queue[Any] = asyncio.Queue(MAX_RECORDS)

    async def run(self, stream: Any) -> None:
        """Body of an agent. Errors of the handler come out as an ``ExceptionGroup``."""
        # A batch must not wait for the stream's next event: after a rebalance there may be none for long.
        async with asyncio.TaskGroup() as both:
            both.create_task(self._feed(stream))
            both.create_task(self._work())

    async def _feed(self, stream: Any) -> None:
        async for event in stream.noack().events():
            await self._arrived.put(event.message)

    async def _work(self) -> None:
        while True:
            batch = [await self._arrived.get()]
            # What has come in meanwhile goes along: one commit and one round of writes serve all of it.
            while len(batch) < MAX_RECORDS and not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            async with self._busy:
                await self._handle(batch)

    async def settled(self) -> None:
        """Return when no batch is in work: partitions may go to another worker then."""
        async with asyncio.timeout(_REVOKE_WAIT_S), self._busy:
            pass

    async def _handle(self, batch: list[Any]) -> None:
        # Records fetched before a rebalance come again to whoever owns their partition now.
        generation = self._app.consumer_generation_id
        current = [message for message in batch if message.generation_id == generation]
        if not current:
            return
        started = time.perf_counter()
        await self._handler.handle(current)
        offsets = {TP(message.topic, message.partition): message.offset + 1 for message in current}
        await self._effects.commit(offsets)
        metrics.BATCH_SECONDS.labels(self._handler.name).observe(time.perf_counter() - started)
        for message in current:
            metrics.RECORDS.labels(message.topic).inc()
        for tp, offset in offsets.items():
            highwater = self._app.consumer.highwater(tp)
            metrics.LAG.labels(tp.topic, tp.partition).set(max(0, (highwater or offset) - offset))
