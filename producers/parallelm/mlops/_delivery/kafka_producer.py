"""The librdkafka producer of a component: idempotent, compressed, bounded, and without a message time-out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from parallelm.connections.kafka import client_config
from parallelm.connections.settings import ConfigurationError
from parallelm.mlops._delivery.broker_away import PRODUCER

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.connections.settings import KafkaSettings


class Producer(Protocol):
    """The part of ``confluent_kafka.Producer`` that the library uses; the class itself is untyped."""

    def produce(
        self, topic: str, value: bytes, key: bytes, *, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        """Queue a record; raises ``BufferError`` when the queue is full."""

    def poll(self, timeout: float) -> int:
        """Run the callbacks that are due."""

    def flush(self, timeout: float) -> int:
        """Wait until everything was delivered."""

    def purge(self) -> None:
        """Discard what is queued."""

    def list_topics(self, topic: str, timeout: float) -> Any:
        """Ask a broker for the metadata of a topic; raises ``KafkaException``."""


def make_producer(settings: Settings, on_error: Callable[[Any], None]) -> Producer:
    """A new producer; ``on_error`` gets each client-level ``KafkaError``, in the thread that polls.

    Raises ``ConfigurationError`` for settings that name no broker or that librdkafka refuses.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka import Producer as ConfluentProducer

    kafka, component = settings.kafka, settings.component
    if not kafka.bootstrap_servers.strip(", \t\n"):
        raise ConfigurationError(
            "MCENTER_KAFKA_BOOTSTRAP_SERVERS is empty; it must name a broker as host:port"
        )
    config = client_config(
        kafka,
        linger_ms=component.linger_ms,
        queue_buffering_max_kbytes=component.queue_max_kbytes,
        **PRODUCER,
    )
    try:
        # The important lines of librdkafka's own log also reach error_cb.
        producer: Producer = ConfluentProducer(config | {"error_cb": on_error, "log_level": 2})
    except (KafkaException, ValueError, TypeError) as error:
        cause = error.args[0].str() if isinstance(error, KafkaException) else error
        raise ConfigurationError(
            f"the Kafka client refuses its settings: {cause}; check {_settings_to_check(kafka)}"
        ) from error
    return producer


def _settings_to_check(kafka: KafkaSettings) -> str:
    """The settings whose files cannot be read; without any, the prefix of all Kafka settings."""
    names = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
    files = {name: getattr(kafka, name) for name in names}
    missing = [
        f"MCENTER_KAFKA_{name.upper()}, which names {file!r}"
        for name, file in files.items()
        if file and not os.access(file, os.R_OK)
    ]
    return " and ".join(missing) or "MCENTER_KAFKA_…"
