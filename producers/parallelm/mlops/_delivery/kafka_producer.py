"""The librdkafka producer of a component: idempotent, compressed, bounded, and patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings


def make_producer(settings: Settings, on_error: Callable[[Any], None]) -> Any:
    """A new producer; ``on_error`` gets each ``KafkaError`` of the client as a whole, in the thread that polls."""
    from confluent_kafka import Producer

    component = settings.component
    config = client_config(
        settings.kafka,
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=component.linger_ms,
        partitioner="murmur2_random",  # as Faust and the Java client hash keys
        queue_buffering_max_kbytes=component.queue_max_kbytes,
        message_timeout_ms=0,  # nothing expires while the queue holds
        reconnect_backoff_max_ms=2_000,
    )
    # What matters of librdkafka's own log comes to error_cb too.
    return Producer(config | {"error_cb": on_error, "log_level": 2})
