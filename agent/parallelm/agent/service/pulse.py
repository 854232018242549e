"""What the agent sends again and again, and what may be lost: heartbeats, states, renewals of leases."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from parallelm.agent.service.broker_clock import BrokerClock, boottime_s
from parallelm.connections.kafka import client_config
from parallelm.schemas.topics import AGENTS, HEARTBEATS, RUN_REPORTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import KafkaSettings
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.records import AgentState, Heartbeat, RunReport
    from parallelm.schemas.topics import Topic

_TIMEOUT_MS = 5_000
"""What was not delivered by then is not any more: a newer one says more."""


class Pulse:
    """Used by one thread, never waits."""

    def __init__(self, kafka: KafkaSettings, codec: Codec) -> None:
        from confluent_kafka import Producer

        self._prefix = kafka.topic_prefix
        self._codec = codec
        self.clock = BrokerClock()
        self.confirmed_s = float("-inf")
        """When the brokers last confirmed a heartbeat."""
        self.sent_states: deque[bytes] = deque(maxlen=100)
        """States that this process has sent: others under its name are somebody else's."""
        self._producer = Producer(
            client_config(
                kafka,
                acks="all",
                partitioner="murmur2_random",
                message_timeout_ms=_TIMEOUT_MS,
                linger_ms=0,
                queue_buffering_max_messages=10_000,
            )
        )

    def heartbeat(self, beat: Heartbeat) -> None:
        """Say that the agent is alive."""
        sent_s = boottime_s()

        def delivered(message: Any) -> None:
            self.confirmed_s = boottime_s()
            kind, at_ms = message.timestamp()
            if kind == _LOG_APPEND_TIME:
                self.clock.stamped(sent_s, self.confirmed_s, at_ms)

        self._send(HEARTBEATS, beat, delivered, lambda: None)

    def state(self, state: AgentState, on_lost: Callable[[], None]) -> None:
        """Say how the agent stands; ``on_lost`` is called when it did not arrive."""
        self.sent_states.append(self._codec.encode(state))
        self._send(AGENTS, state, lambda _: None, on_lost)

    def renewal(self, report: RunReport, on_confirmed: Callable[[float], None]) -> None:
        """Ask for more time for runs; ``on_confirmed`` is told when it was sent."""
        sent_s = boottime_s()
        self._send(RUN_REPORTS, report, lambda _: on_confirmed(sent_s), lambda: None)

    def poll(self, timeout_s: float = 0) -> None:
        """Hear from the broker."""
        self._producer.poll(timeout_s)

    def flush(self, timeout_s: float) -> None:
        """Wait for the broker."""
        self._producer.flush(timeout_s)

    def _send(
        self, topic: Topic, record: Any, on_delivered: Callable[[Any], None], on_lost: Callable[[], None]
    ) -> None:
        def delivered(error: Any, message: Any) -> None:
            if error is None:
                on_delivered(message)
            else:
                on_lost()

        try:
            self._producer.produce(
                topic.full_name(self._prefix),
                self._codec.encode(record),
                topic.key(record),
                on_delivery=delivered,
            )
        except BufferError:
            on_lost()


_LOG_APPEND_TIME = 2
"""``confluent_kafka.TIMESTAMP_LOG_APPEND_TIME``."""
