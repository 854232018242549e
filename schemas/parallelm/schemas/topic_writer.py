"""Writes records to topics and waits until the broker has confirmed them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelm.connections import Settings

_POLL_S = 0.1
_GRACE_S = 5.0
"""Added to the client's own time limit, whose error says more about the cause than ours."""


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to send."""

    topic: str
    """Name with prefix."""
    key: bytes | str | None
    value: bytes | None


class TopicWriter:
    """A producer whose ``write`` returns when the broker has confirmed every record. Not thread-safe."""

    def __init__(self, settings: Settings, *, timeout_s: float = 30.0, **options: Any) -> None:
        """``timeout_s`` bounds the wait for each record; ``options`` as for ``client_config``."""
        from confluent_kafka import Producer

        self._timeout_s = timeout_s
        self._servers = settings.kafka.bootstrap_servers
        defaults = {
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": "lz4",
            # As Java clients do: a key's partition does not depend on the client that wrote it.
            "partitioner": "murmur2_random",
            "message_timeout_ms": max(1, int(timeout_s * 1000)),
        }
        self._producer = Producer(client_config(settings.kafka, **defaults | options))

    def write(self, records: Iterable[OutgoingRecord], on_confirmed: Callable[[], None] | None = None) -> int:
        """Send records in order, wait for all, and return how many there were.

        ``on_confirmed`` is called for each record that the broker confirms. Raises ``UndeliveredError`` with the
        records that were not confirmed; sending stops at the first record that is refused.
        """
        return self._write(records, _Round(on_confirmed))

    def _write(self, records: Iterable[OutgoingRecord], round_: _Round) -> int:
        for record in records:
            self._produce(record, round_)
            if round_.reason:
                break
        self._wait(round_)
        if round_.pending or round_.reason:
            missing = list(round_.pending.values())
            raise UndeliveredError(
                f"Kafka at {self._servers!r} did not confirm {len(missing)} of {round_.sent} records for "
                f"{', '.join(sorted({repr(each.topic) for each in missing}))}: "
                f"{round_.reason or f'no answer within {self._timeout_s:g} s'}",
                missing,
            )
        return round_.sent

    def write_one(self, record: OutgoingRecord) -> tuple[int, int]:
        """Send one record, wait for it, and return its partition and offset; raises as ``write``."""
        places: list[tuple[int, int]] = []
        self._write([record], _Round(None, places))
        return places[0]

    def _produce(self, record: OutgoingRecord, round_: _Round) -> None:
        from confluent_kafka import KafkaException

        delivered = round_.expect(record)
        deadline = time.monotonic() + self._timeout_s + _GRACE_S
        while True:
            try:
                self._producer.produce(record.topic, record.value, record.key, on_delivery=delivered)
            except BufferError:
                # The queue is full: the broker's answers make room.
                self._producer.poll(_POLL_S)
                if round_.reason or time.monotonic() > deadline:
                    round_.reason = round_.reason or f"no answer within {self._timeout_s:g} s"
                    return
            except KafkaException as error:
                round_.reason = error.args[0].str()
                return
            else:
                self._producer.poll(0)
                return

    def _wait(self, round_: _Round) -> None:
        deadline = time.monotonic() + self._timeout_s + _GRACE_S
        left = len(round_.pending)
        while round_.pending and time.monotonic() < deadline:
            # Wakes up at each answer, and the last one may have come just before.
            self._producer.flush(_POLL_S)
            if len(self._producer) == 0:
                self._producer.poll(0)
                return
            if len(round_.pending) < left:
                left = len(round_.pending)
                deadline = time.monotonic() + self._timeout_s + _GRACE_S


class _Round:
    """The records of one ``write`` that are not confirmed."""

    def __init__(
        self, on_confirmed: Callable[[], None] | None, places: list[tuple[int, int]] | None = None
    ) -> None:
        self.sent = 0
        self.places = places
        """Partitions and offsets of what was confirmed, where they are wanted."""
        self.pending: dict[int, OutgoingRecord] = {}
        self.reason = ""
        self._on_confirmed = on_confirmed

    def expect(self, record: OutgoingRecord) -> Callable[[Any, Any], None]:
        """The callback for a record's answer."""
        number = self.sent
        self.sent += 1
        self.pending[number] = record

        def delivered(error: Any, message: Any) -> None:
            if error is not None:
                self.reason = self.reason or error.str()
                return
            self.pending.pop(number, None)
            if self.places is not None:
                self.places.append((message.partition(), message.offset()))
            if self._on_confirmed is not None:
                self._on_confirmed()

        return delivered


def write_and_confirm(
    settings: Settings,
    records: Iterable[OutgoingRecord],
    *,
    timeout_s: float = 30.0,
    on_confirmed: Callable[[], None] | None = None,
) -> int:
    """Write once with a producer of its own; see ``TopicWriter.write``."""
    return TopicWriter(settings, timeout_s=timeout_s).write(records, on_confirmed)
