"""One producer for all threads of a process that write now and then and wait until the broker has confirmed: the server.

A producer of its own costs each write a connection and the negotiation over it. ``write_confirmed`` lends the one of its cluster.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import KafkaSettings, Settings
    from parallelm.schemas.topic_writer import OutgoingRecord

MESSAGE_TIMEOUT_S: Final = 15.0
_GRACE_S: Final = 1.0
"""Added to the client's own time limit, whose error says more about the cause than ours."""
_POLL_S: Final = 0.1


class SharedWriter:
    """A producer for any number of threads, each of which waits for its own records."""

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = MESSAGE_TIMEOUT_S) -> None:
        from confluent_kafka import Producer

        self._servers = kafka.bootstrap_servers
        self._timeout_s = timeout_s
        self.is_broken = False
        """The client has given up for good: make another one."""
        self._producer = Producer(
            client_config(
                kafka,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                # As Java clients do: a key's partition does not depend on the client that wrote it.
                partitioner="murmur2_random",
                message_timeout_ms=int(timeout_s * 1000),
            )
            | {"error_cb": self._on_error}
        )
        threading.Thread(target=self._poll, name="shared-writer", daemon=True).start()

    def write(self, records: Sequence[OutgoingRecord]) -> None:
        """Send records in order and wait until each is confirmed; raises ``UndeliveredError`` with those that are not."""
        answers = [_Answer() for _ in records]
        for record, answer in zip(records, answers, strict=True):
            self._produce(record, answer)
        deadline = time.monotonic() + self._timeout_s + _GRACE_S
        for answer in answers:
            answer.came.wait(max(0.0, deadline - time.monotonic()))
        missing = [record for record, answer in zip(records, answers, strict=True) if not answer.is_confirmed]
        if missing:
            reason = next((each.reason for each in answers if each.reason), "")
            raise UndeliveredError(
                f"Kafka at {self._servers!r} did not confirm {len(missing)} of {len(records)} records for "
                f"{', '.join(sorted({repr(each.topic) for each in missing}))}: "
                f"{reason or f'no answer within {self._timeout_s:g} s'}",
                missing,
            )

    def _produce(self, record: OutgoingRecord, answer: _Answer) -> None:
        from confluent_kafka import KafkaException

        try:
            self._producer.produce(record.topic, record.value, record.key, on_delivery=answer.take)
        except BufferError:
            answer.refuse("too many records wait for the broker already")
        except KafkaException as error:
            self.is_broken = self.is_broken or error.args[0].fatal()
            answer.refuse(error.args[0].str())

    def _on_error(self, error: Any) -> None:
        self.is_broken = self.is_broken or error.fatal()

    def _poll(self) -> None:
        while not self.is_broken or len(self._producer):
            self._producer.poll(_POLL_S)


class _Answer:
    """What becomes of one record."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.reason = ""

    @property
    def is_confirmed(self) -> bool:
        return self.came.is_set() and not self.reason

    def take(self, error: Any, _message: object) -> None:
        """The client's callback."""
        self.refuse("" if error is None else error.str())

    def refuse(self, reason: str) -> None:
        """Or, with an empty reason, confirm."""
        self.reason = reason
        self.came.set()


_LOCK: Final = threading.Lock()
_WRITERS: Final[dict[KafkaSettings, SharedWriter]] = {}


def write_confirmed(settings: Settings, records: Sequence[OutgoingRecord]) -> None:
    """Write with the producer that this process shares; raises ``UndeliveredError``."""
    with _LOCK:
        writer = _WRITERS.get(settings.kafka)
        if writer is None or writer.is_broken:
            writer = _WRITERS[settings.kafka] = SharedWriter(settings.kafka)
    writer.write(records)
