"""Sends the records of a capture in transactions, marked for the sinks alone, and notes where they came to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.operations.errors import CaptureError
from parallelm.schemas.codec import Codec
from parallelm.schemas.dead_letters import sent_again_for
from parallelm.schemas.registry import make_registry
from parallelm.schemas.well_known import CAPTURE_IMPORT, SINK_GROUP
from parallelm.schemas.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

_TIMEOUT_S = 60.0
_POLL_S = 0.1
_OPEN_MS = 20_000
"""Processors wait for a transaction: one whose import was killed ends after this time."""

Place = tuple[str, int, int]
"""Topic without prefix, partition and offset."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send."""

    topic: Topic
    key: bytes
    record: Any
    was_at: Place | None = None
    """Where it was in its own installation, when somebody wants to know where it is now."""


@dataclass(slots=True)
class Sender:
    """A producer; while it lives no other import sends: the transactions of an earlier one are refused."""

    settings: Settings
    moved: dict[Place, Place] = field(default_factory=dict)
    """Where records are now, by where they were."""
    _producer: Any = None
    _codec: Any = None

    def open(self) -> None:
        """Raises ``CaptureError`` when Kafka is away."""
        from confluent_kafka import KafkaException, Producer

        prefix = self.settings.kafka.topic_prefix
        self._codec = Codec(make_registry(self.settings.schema_registry, prefix))
        self._producer = Producer(
            client_config(
                self.settings.kafka,
                transactional_id=f"{prefix}{CAPTURE_IMPORT}",
                transaction_timeout_ms=_OPEN_MS,
                compression_type="lz4",
                partitioner="murmur2_random",
            )
        )
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except KafkaException as error:
            raise CaptureError(
                f"Kafka at {self.settings.kafka.bootstrap_servers!r}: {error.args[0].str()}"
            ) from error

    def send(self, records: Sequence[Outgoing]) -> int:
        """Send records in one transaction, and return how many; raises ``CaptureError``, and then none of them was sent."""
        from confluent_kafka import KafkaException

        if not records:
            return 0
        try:
            self._producer.begin_transaction()
            try:
                for record in records:
                    self._produce(record)
            except BaseException:
                self._producer.abort_transaction(_TIMEOUT_S)
                raise
            self._producer.commit_transaction(_TIMEOUT_S)
        except KafkaException as error:
            reason = error.args[0]
            raise CaptureError(
                f"the import stopped: {reason.str()}"
                + ("; another process imports a capture" if reason.fatal() else "")
                + ". Import the file again: what has arrived is not sent twice"
            ) from error
        return len(records)

    def _produce(self, outgoing: Outgoing) -> None:
        prefix = self.settings.kafka.topic_prefix
        value = self._codec.encode(outgoing.record)
        if len(value) > MAX_RECORD_BYTES:
            raise CaptureError(
                f"a record for topic {outgoing.topic.name} has {len(value)} bytes; a topic takes {MAX_RECORD_BYTES}"
            )
        place = outgoing.was_at

        def delivered(error: Any, message: Any) -> None:
            if error is None and place is not None:
                self.moved[place] = (outgoing.topic.name, message.partition(), message.offset())

        while True:
            try:
                self._producer.produce(
                    outgoing.topic.full_name(prefix),
                    value,
                    outgoing.key,
                    headers=sent_again_for(f"{prefix}{SINK_GROUP}"),
                    on_delivery=delivered,
                )
            except BufferError:
                self._producer.poll(_POLL_S)
            else:
                self._producer.poll(0)
                return
