"""What passes and what does not: errors that are waited out, and errors that stop the worker."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from parallelm.schemas.errors import ClusterUnavailableError, RegistryUnavailableError, UnknownSchemaError
from parallelm.stream_processors.runtime import metrics
from parallelm.stream_processors.runtime.dead_letters import TooManyDeadLettersError
from parallelm.stream_processors.runtime.stored_state import StateError
from parallelm.stream_processors.runtime.transactions import FencedError, TransactionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)
T = TypeVar("T")

TRANSIENT = (
    KafkaError,
    KafkaException,
    ClusterUnavailableError,
    RegistryUnavailableError,
    ConnectionError,
    TimeoutError,
)
"""Errors of what is away for now: tried again for as long as it takes, while the partitions wait."""
FATAL = (UnknownSchemaError, StateError, TooManyDeadLettersError, FencedError, TransactionError)
"""Errors that are not the fault of the record they came with: no dead letter is made of it."""
UNKNOWN_SCHEMA_LIMIT_S = 300.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_LOG_INTERVAL_S = 20.0


async def with_patience(
    attempt: Callable[[], Awaitable[T]], what: str, *, unknown_schema_limit_s: float = UNKNOWN_SCHEMA_LIMIT_S
) -> T:
    """Result of ``attempt``, tried again while something outside is away.

    A schema that nobody knows is given some time: a newer producer may be ahead of this worker. Then its error is raised.
    """
    pause_s, since, logged = _FIRST_PAUSE_S, time.monotonic(), float("-inf")
    while True:
        try:
            return await attempt()
        except UnknownSchemaError as error:
            if time.monotonic() - since >= unknown_schema_limit_s:
                raise
            reason: Exception = error
        except TRANSIENT as error:
            reason = error
        metrics.RETRIES.labels(type(reason).__name__).inc()
        if time.monotonic() - logged > _LOG_INTERVAL_S:
            logged = time.monotonic()
            logger.warning("%s: %s: %s; trying again", what, type(reason).__name__, reason)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
