"""Sends reports in order until the broker has them, however long it is away.

Nothing here gives up: librdkafka retries without end and in order, and what it reports as failed (a topic that is missing,
a producer that cannot go on) is sent again from the first report that is not confirmed.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.agent.service.store import Report
    from parallelm.connections import KafkaSettings

_LOG = logging.getLogger(__name__)
_AGAIN_S = 1.0


class Outbox:
    """Reports on their way; used by one thread, never waits. ``take_confirmed`` says what may be forgotten."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._waiting: dict[int, Report] = {}
        """Not confirmed, by number, in order."""
        self._unsent: deque[Report] = deque()
        """The last of these, in order: not handed to the producer yet."""
        self._confirmed: list[int] = []
        self._again_at = 0.0
        self._failed = ""
        self._generation = 0
        self._producer = self._make()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, reports: Iterable[Report]) -> None:
        """Send these after all earlier ones."""
        for report in reports:
            self._waiting[report.seq] = report
            self._unsent.append(report)
        self._send()

    def poll(self) -> None:
        """Hear from the broker, and send again what has failed."""
        self._producer.poll(0)
        if self._failed and time.monotonic() >= self._again_at:
            _LOG.warning("reports are sent again: %s", self._failed)
            self._failed, self._unsent = "", deque(self._waiting.values())
            self._producer.purge()
            self._producer = self._make()
        self._send()

    def take_confirmed(self) -> list[int]:
        """Numbers of what was confirmed since the last call."""
        taken, self._confirmed = self._confirmed, []
        return taken

    def put_back(self, seqs: Iterable[int]) -> None:
        """They could not be forgotten yet: tell them again."""
        self._confirmed += seqs

    def flush(self, timeout_s: float) -> bool:
        """Wait for the broker; whether it has everything."""
        deadline = time.monotonic() + timeout_s
        while self._waiting and time.monotonic() < deadline:
            self._producer.poll(0.05)
            self.poll()
        return not self._waiting

    def _make(self) -> Any:
        from confluent_kafka import Producer

        self._generation += 1
        return Producer(
            client_config(
                self._kafka,
                acks="all",
                enable_idempotence=True,
                partitioner="murmur2_random",
                message_timeout_ms=0,
                linger_ms=0,
                compression_type="lz4",
            )
        )

    def _send(self) -> None:
        from confluent_kafka import KafkaException

        while self._unsent and not self._failed:
            report = self._unsent[0]
            try:
                self._producer.produce(
                    self._topic, report.value, report.key, on_delivery=self._delivered(report.seq)
                )
            except BufferError:
                return  # the rest when there is room
            except KafkaException as error:
                self._fail(str(error))
                return
            self._unsent.popleft()

    def _delivered(self, seq: int) -> Any:
        generation = self._generation

        def delivered(error: Any, _message: Any) -> None:
            if error is None:
                if self._waiting.pop(seq, None) is not None:
                    self._confirmed.append(seq)
            elif generation == self._generation:
                self._fail(error.str())

        return delivered

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed, self._again_at = reason, time.monotonic() + _AGAIN_S
