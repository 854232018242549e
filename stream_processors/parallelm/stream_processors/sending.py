"""Effects of the agents on Kafka: send and wait, write state and wait, commit; each retried while a broker is away."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from faust.exceptions import ProducerSendError

from parallelm.connections.rate_limit import RateLimit
from parallelm.schemas.errors import ClusterUnavailableError, RegistryUnavailableError, UnknownSchemaError
from parallelm.stream_processors import metrics
from parallelm.stream_processors.state import Output, StateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import faust
    from faust.types import TP

logger = logging.getLogger(__name__)
T = TypeVar("T")

TRANSIENT = (
    KafkaError,
    KafkaException,
    ProducerSendError,
    ClusterUnavailableError,
    RegistryUnavailableError,
    ConnectionError,
    TimeoutError,
)
"""Errors of what is away for now: tried again without a limit, while the partitions wait."""
FATAL = (UnknownSchemaError, StateError)
"""Errors that are no fault of the record they came with: they stop the worker."""
UNKNOWN_SCHEMA_LIMIT_S = 300.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0


async def with_patience(attempt: Callable[[], Awaitable[T]], what: str) -> T:
    """Result of ``attempt``, tried again while something outside is away.

    A schema that nobody knows is given ``UNKNOWN_SCHEMA_LIMIT_S``: a newer producer may be ahead of this worker. Then
    its error is raised.
    """
    pause_s, since, limit = _FIRST_PAUSE_S, time.monotonic(), RateLimit()
    while True:
        try:
            return await attempt()
        except UnknownSchemaError as error:
            if time.monotonic() - since > UNKNOWN_SCHEMA_LIMIT_S:
                raise
            reason: Exception = error
        except TRANSIENT as error:
            reason = error
        metrics.RETRIES.labels(type(reason).__name__).inc()
        if limit.allows():
            logger.warning("%s: %s: %s; trying again", what, type(reason).__name__, reason)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class KafkaEffects:
    """Sends, state writes and commits of one Faust app. Each returns when the broker has acknowledged."""

    def __init__(self, app: faust.App, table: Any) -> None:
        self._app = app
        self._table = table

    async def send(self, outputs: Iterable[Output]) -> None:
        """Send records; the partitioner is murmur2 of the key."""
        sends = [(output.topic, output.key, output.value, None) for output in outputs]
        await with_patience(lambda: self._send(sends), "sending")
        for topic, *_ in sends:
            metrics.OUTPUTS.labels(topic).inc()

    async def send_to_partitions(self, outputs: Mapping[int, Output]) -> None:
        """Send records, each to its partition."""
        sends = [(output.topic, output.key, output.value, partition) for partition, output in outputs.items()]
        await with_patience(lambda: self._send(sends), "sending")

    async def write(self, values: Mapping[bytes, tuple[bytes | None, int]]) -> None:
        """Make state durable on the changelog topic, then visible in the table. None deletes a key.

        Faust's own way of writing a table sends without waiting; records would go out before the state they follow
        from is safe, and a crash between the two would decide again, and differently.
        """
        changelog = self._table.changelog_topic.get_topic_name()
        sends = [(changelog, key, value, partition) for key, (value, partition) in values.items()]
        await with_patience(lambda: self._send(sends), "writing state")
        for key, (value, _) in values.items():
            if value is None:
                self._table.data.pop(key, None)
            else:
                self._table.data[key] = value
        metrics.KEYS.set(len(self._table.data))

    async def commit(self, offsets: Mapping[TP, int]) -> None:
        """Commit the next offsets to read.

        Faust's own acknowledgements are off: it also acknowledges what it skips in a rebalance, and commits past a
        record that is still being handled. Partitions that were lost meanwhile are left to their new owner.
        """
        consumer: Any = self._app.consumer
        await with_patience(lambda: consumer._commit_offsets(offsets), "committing")  # noqa: SLF001 - see above; the version is pinned

    async def _send(self, sends: Sequence[tuple[str, bytes, bytes | None, int | None]]) -> None:
        producer = self._app.producer
        futures = [
            await producer.send(topic, key, value, partition, None, None)
            for topic, key, value, partition in sends
        ]
        await asyncio.gather(*futures)
