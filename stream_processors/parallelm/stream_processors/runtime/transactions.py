"""State, outputs and offsets of a batch in one Kafka transaction: all of it happens, or nothing.

Each shard has a transactional id of its own. Whoever starts a producer with that id fences the one before it at the
broker: a worker that was paused while its partition went to another can write nothing more for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TRANSACTION_TIMEOUT_MS = 20_000
"""After this the broker aborts what a worker has left open, so that readers go on."""
_REQUEST_TIMEOUT_MS = 10_000
"""A request that a broker has taken with it when it went is given up after this; aiokafka's 40 s would hold a shard up."""
_MAX_REQUEST_BYTES = 2 << 20
_CLOSE_TIMEOUT_S = 5.0


class Output(NamedTuple):
    """A record to send; ``topic`` with prefix. ``partition`` None: by murmur2 of the key."""

    topic: str
    key: bytes
    value: bytes | None
    partition: int | None = None


MAX_OUTPUT_BYTES = 1_000_000
"""What a broker takes by default, less its own overhead. A larger record would be refused each time."""


class OutputTooLargeError(Exception):
    """What follows from a record does not fit into one."""


def checked(output: Output) -> Output:
    """An output that fits a record; raises ``OutputTooLargeError``."""
    if len(output.value or b"") > MAX_OUTPUT_BYTES:
        raise OutputTooLargeError(
            f"a record of {len(output.value or b'')} bytes for {output.topic}; brokers take {MAX_OUTPUT_BYTES}"
        )
    return output


class FencedError(Exception):
    """Another worker has taken over the shard: this one may write nothing more for it."""


class TransactionError(Exception):
    """A transaction did not go through, or nobody knows whether it did; the shard must be opened again."""


class Transactions:
    """The transactional producer of one shard. Not for use by several tasks at once."""

    def __init__(self, transactional_id: str, group: str, options: Mapping[str, Any]) -> None:
        self._group = group
        self._producer = AIOKafkaProducer(
            transactional_id=transactional_id,
            acks="all",
            compression_type="lz4",
            transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            max_request_size=_MAX_REQUEST_BYTES,
            linger_ms=0,
            **options,
        )

    async def open(self) -> None:
        """Fence the earlier owner, and end what it has left open. Raises aiokafka's ``KafkaError``."""
        await self._producer.start()

    async def commit(self, outputs: Sequence[Output], offsets: Mapping[tuple[str, int], int]) -> int:
        """Send outputs and commit the next offsets to read, all or nothing; the broker's clock at the last of them.

        ``outputs`` must hold a record. Raises ``FencedError``, or ``TransactionError`` after which only ``close`` may be called.
        """
        producer = self._producer
        try:
            await producer.begin_transaction()
            sent = [
                await producer.send(output.topic, output.value, output.key, output.partition)
                for output in outputs
            ]
            acknowledged = await asyncio.gather(*sent)
            if offsets:
                await producer.send_offsets_to_transaction(
                    {
                        TopicPartition(*place): OffsetAndMetadata(offset, "")
                        for place, offset in offsets.items()
                    },
                    self._group,
                )
            await producer.commit_transaction()
            return max(int(each.timestamp) for each in acknowledged)
        # When its sender has failed, aiokafka says that there is no transaction, or fails its own assertions.
        except (KafkaError, IllegalOperation, AssertionError, OSError, TimeoutError) as error:
            reason = self._sender_error() or error
            if isinstance(reason, ProducerFenced):
                raise FencedError(str(reason)) from error
            raise TransactionError(f"{type(reason).__name__}: {reason}") from error

    def _sender_error(self) -> BaseException | None:
        """Why aiokafka's own task has ended, if it has."""
        task: Any = self._producer._sender.sender_task  # noqa: SLF001 - the version is pinned
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    async def close(self) -> None:
        """Leave; an open transaction is aborted by the next owner's ``open`` or by the broker's time-out."""
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._producer.stop()


def ignore_unheard_errors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Exception handler of an event loop: no traceback for each of aiokafka's futures that one error has failed.

    ``commit`` raises that error; nobody asks the other futures.
    """
    if not isinstance(context.get("exception"), KafkaError):
        loop.default_exception_handler(context)
