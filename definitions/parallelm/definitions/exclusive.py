"""One writer of an MLApp's definition: whoever reads the topic next may write, and those who read before may not any more.

Kafka itself decides: a producer that begins with the transactional id of the MLApp fences all that began before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from parallelm.connections.kafka import client_config
from parallelm.definitions.errors import FencedError
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topics import MLAPPS

if TYPE_CHECKING:
    from types import TracebackType

    from parallelm.connections import Settings
    from parallelm.schemas.records import MLAppDefinition
    from parallelm.schemas.topic_writer import OutgoingRecord

_TRANSACTION_MS: Final = 10_000
"""Readers wait no longer for a writer that was killed."""


class ExclusiveWriter:
    """Writes the definition of one MLApp once; begin it before the topic is read."""

    def __init__(self, settings: Settings, mlapp_id: str, *, timeout_s: float = 10.0) -> None:
        """Raises ``ClusterUnavailableError``."""
        from confluent_kafka import KafkaException, Producer

        prefix = settings.kafka.topic_prefix
        self._topic = MLAPPS.full_name(prefix)
        self._servers = settings.kafka.bootstrap_servers
        self._codec = Codec(make_registry(settings.schema_registry, prefix))
        self._timeout_s = timeout_s
        self._producer = Producer(
            client_config(
                settings.kafka,
                transactional_id=f"{prefix}definition-{mlapp_id}",
                transaction_timeout_ms=_TRANSACTION_MS,
                compression_type="lz4",
                partitioner="murmur2_random",
            )
        )
        try:
            self._producer.init_transactions(timeout_s)
        except KafkaException as error:
            raise self._unavailable(error.args[0].str()) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()

    def write(self, definition: MLAppDefinition, *others: OutgoingRecord) -> None:
        """Write it together with ``others``. Raises ``FencedError`` when another writer has begun since; ``ClusterUnavailableError``."""
        from confluent_kafka import KafkaError, KafkaException

        try:
            self._producer.begin_transaction()
            for each in others:
                self._producer.produce(each.topic, each.value, each.key)
            self._producer.produce(self._topic, self._codec.encode(definition), MLAPPS.key(definition))
            self._producer.commit_transaction(self._timeout_s)
        except KafkaException as error:
            # Once it was fenced in the background, a call says no more than that there was a fatal error.
            if error.args[0].fatal() or error.args[0].code() == KafkaError._FATAL:  # noqa: SLF001 - public
                raise FencedError(f"another writer of MLApp {definition.mlapp_id!r} began") from error
            raise self._unavailable(error.args[0].str()) from error

    def _unavailable(self, reason: str) -> ClusterUnavailableError:
        return ClusterUnavailableError(f"topic {self._topic!r} at {self._servers!r}: {reason}")
