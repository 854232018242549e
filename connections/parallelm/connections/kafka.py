"""Settings of Kafka clients in the form that librdkafka takes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallelm.connections.settings import KafkaSettings

_LIBRDKAFKA_NAMES = {
    "sasl_mechanism": "sasl.mechanism",
    "sasl_username": "sasl.username",
    "sasl_password": "sasl.password",
    "ssl_ca_location": "ssl.ca.location",
    "ssl_certificate_location": "ssl.certificate.location",
    "ssl_key_location": "ssl.key.location",
    "ssl_key_password": "ssl.key.password",
}


def client_config(kafka: KafkaSettings, **more: Any) -> dict[str, Any]:
    """Configuration of a confluent-kafka client; ``more`` in Python names (``group_id`` is ``group.id``).

    The client's own log lines go to the logger ``parallelm.kafka``.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "logger": logging.getLogger("parallelm.kafka"),
    }
    for ours, theirs in _LIBRDKAFKA_NAMES.items():
        value = getattr(kafka, ours)
        if value:
            config[theirs] = value
    return config | {name.replace("_", "."): value for name, value in more.items()}
