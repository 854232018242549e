"""What the notifier remembers, on its compacted topic; written together with the history and the positions in one transaction.

The transactional id is one for all notifiers: whoever opens the store fences the one before it at the broker.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.records import ProcessorState
from parallelm.schemas.topics import NOTIFIER_STATE
from parallelm.stream_processors.notifications.edge.errors import SessionLostError
from parallelm.stream_processors.runtime.recovery import read_changelog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.connections import Settings
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.topic_writer import OutgoingRecord

VERSION = 1
_TIMEOUT_S = 10.0
_RETRY_S = 0.1
_TRANSACTION_TIMEOUT_MS = 20_000

Bodies = dict[str, dict[str, dict[str, Any]]]
"""Kind to name to body."""


class StateStore:
    """The producer of the one notifier that sends. Not thread-safe."""

    def __init__(self, settings: Settings, codec: Codec, transactional_id: str) -> None:
        from confluent_kafka import Producer

        self._settings = settings
        self._codec = codec
        self._topic = NOTIFIER_STATE.full_name(settings.kafka.topic_prefix)
        self._producer = Producer(
            client_config(
                settings.kafka,
                transactional_id=transactional_id,
                transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
                compression_type="lz4",
                partitioner="murmur2_random",
                linger_ms=0,
            )
        )

    def open(self) -> Bodies:
        """Fence the earlier owner, end what it has left open, and read all that is stored."""
        self._tried(lambda: self._producer.init_transactions(_TIMEOUT_S))
        found: Bodies = defaultdict(dict)
        for key, value in read_changelog(self._settings, self._topic, 0):
            kind, _, name = json.loads(key)
            found[kind].pop(name, None)
            if value is not None:
                found[kind][name] = json.loads(self._codec.decode(value, ProcessorState).body)
        return found

    def close(self) -> None:
        """Forget what is not committed, so that the client ends at once."""
        self._producer.purge()

    def commit(
        self,
        changes: Mapping[tuple[str, str], dict[str, Any] | None],
        records: Iterable[OutgoingRecord],
    ) -> None:
        """Write all or nothing. Raises ``SessionLostError``, after which the store must be opened again.

        Offsets of the group are no part of it: while the group's coordinator is away, the client waits for ever to add
        them, whatever the time limit (https://github.com/confluentinc/librdkafka/issues/5456).
        """
        self._tried(self._producer.begin_transaction)
        for (kind, name), body in changes.items():
            state = ProcessorState(
                kind=kind,
                mlapp_id="",
                name=name,
                version=VERSION,
                body=json.dumps(body, separators=(",", ":")),
            )
            value = None if body is None else self._codec.encode(state)
            self._produce(self._topic, NOTIFIER_STATE.key(state), value)
        for record in records:
            self._produce(record.topic, record.key, record.value)
        self._tried(lambda: self._producer.commit_transaction(_TIMEOUT_S))

    def _produce(self, topic: str, key: bytes | str | None, value: bytes | None) -> None:
        from confluent_kafka import KafkaException

        while True:
            try:
                self._producer.produce(topic, value, key)
            except BufferError:
                self._producer.poll(_RETRY_S)
            except KafkaException as error:
                raise SessionLostError(error.args[0].str()) from error
            else:
                self._producer.poll(0)
                return

    def _tried(self, step: Any) -> None:
        """Run a step of a transaction, again where the client says that this helps."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                step()
            except KafkaException as error:
                reason = error.args[0]
                if reason.retriable() and time.monotonic() < deadline:
                    time.sleep(_RETRY_S)
                    continue
                raise SessionLostError(reason.str()) from error
            else:
                return
