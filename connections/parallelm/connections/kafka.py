"""Settings of Kafka clients in the form that librdkafka takes."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from parallelm.connections.rate_limit import RateLimit

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

COORDINATOR_IS_COMING = frozenset({14, 15, 16})
"""Codes with which a broker that has just started, or is about to lead, answers about consumer groups: it is asked again."""

_NUMBERS = re.compile(r"\d+")


class OncePerInterval(logging.Filter):
    """Logs the same line at most once in 20 s; lines that differ in numbers and addresses only are the same.

    A client whose broker is away logs each of its attempts, many times a second. ``names`` are the loggers that it is
    about, with those below them; without any it is about all.
    """

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = tuple(names)
        self._limits: dict[str, RateLimit] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        if self._names and not any(f"{record.name}.".startswith(f"{name}.") for name in self._names):
            return True
        line = _NUMBERS.sub("", record.getMessage())
        return self._limits.setdefault(line, RateLimit()).allows()


def limit_repeated_lines(*names: str) -> None:
    """Let these loggers, which log for a client, log the same line at most once in 20 s; after logging was set up."""
    once = OncePerInterval(*names)
    for handler in logging.getLogger().handlers:
        handler.addFilter(once)


_LOGGER = logging.getLogger("parallelm.kafka")
_LOGGER.addFilter(OncePerInterval())


def client_config(kafka: KafkaSettings, **more: Any) -> dict[str, Any]:
    """Configuration of a confluent-kafka client; ``more`` in Python names (``group_id`` is ``group.id``).

    The client's own log lines go to the logger ``parallelm.kafka``, the same one at most once in 20 s.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": kafka.security_protocol,
        "logger": _LOGGER,
    }
    for ours, theirs in _LIBRDKAFKA_NAMES.items():
        value = getattr(kafka, ours)
        if value:
            config[theirs] = value
    return config | {name.replace("_", "."): value for name, value in more.items()}


class RefusedConnections:
    """Why brokers refuse a client's connections: its password, or the certificate of one of the sides.

    ``note`` is the client's ``error_cb``. Without it a client only says that it got no answer in time.
    """

    def __init__(self) -> None:
        self._reason = ""

    def note(self, error: Any) -> None:
        """Take an error that the client reports."""
        from confluent_kafka import KafkaError

        if error.code() in {KafkaError._AUTHENTICATION, KafkaError._SSL}:  # noqa: SLF001 - the client's public names
            self._reason = error.str()

    def reason(self, client: Any) -> str:
        """``; `` and the reason, or an empty text when the client has none."""
        client.poll(0.1)  # which is when it reports
        return f"; {self._reason}" if self._reason else ""
