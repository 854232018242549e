"""Why delivery is blocked, as a sentence for the log: the root cause, and which setting to check."""

from __future__ import annotations

import enum
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from parallelm.connections.rate_limit import RateLimit

if TYPE_CHECKING:
    from parallelm.connections.settings import KafkaSettings

_log = logging.getLogger("parallelm.mlops")

_TOPIC_NAME = re.compile(r"[A-Za-z0-9._\-]{1,249}")
"""Legal names. For others the client may answer that the topic is unknown, before the broker refuses the name."""


class Stage(enum.IntEnum):
    """Stages of delivery, in order. The first blocked stage is the cause; later ones never begin."""

    ENCODING = 1
    """The schema registry."""
    CLIENT = 2
    """librdkafka refuses its settings: addresses, TLS files, mechanisms."""
    BROKER = 3
    """No broker answers, or it refuses the connection."""
    TOPIC = 4
    """The broker answers, but lacks the topic or denies writing."""


class Obstacles:
    """The newest reason of each stage; a success removes it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may report in the middle of a report
        self._reasons: dict[Stage, str] = {}
        self._log_limit = RateLimit()

    def found(self, stage: Stage, reason: str, *, log: bool = True) -> None:
        """A stage is blocked. Logged at most once in 20 s."""
        with self._lock:
            self._reasons[stage] = reason
        if log and self._log_limit.allows():
            _log.warning("reports wait: %s", reason)

    def passed(self, stage: Stage) -> None:
        """A stage succeeded."""
        if stage in self._reasons:
            with self._lock:
                self._reasons.pop(stage, None)

    def reason(self) -> str:
        """Why delivery is blocked; empty when no obstacle is known."""
        with self._lock:
            reasons = [self._reasons[stage] for stage in sorted(self._reasons)]
        return "; ".join(reasons)


def broker_reason(kafka: KafkaSettings, error: Any) -> str:
    """A sentence for a client-level error."""
    from confluent_kafka import KafkaError

    where = f"Kafka at {kafka.bootstrap_servers!r}"
    if error.code() in {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}:  # noqa: SLF001 - confluent's name
        return f"{where} refuses to authenticate us: {error.str()}; check MCENTER_KAFKA_SASL_…"
    if error.code() == KafkaError._SSL or ("SSL" in kafka.security_protocol and "SSL" in error.str()):  # noqa: SLF001 - confluent's name
        return f"{where}: TLS fails: {error.str()}; check MCENTER_KAFKA_SECURITY_PROTOCOL and MCENTER_KAFKA_SSL_…"
    if error.code() == KafkaError._RESOLVE:  # noqa: SLF001 - confluent's name
        return f"{where}: a host name is unknown: {error.str()}; check MCENTER_KAFKA_BOOTSTRAP_SERVERS"
    return f"{where} does not answer: {error.str()}"


def topic_reason(kafka: KafkaSettings, topic: str, error: Any) -> str:
    """A sentence for an error of one topic."""
    from confluent_kafka import KafkaError

    where = f"topic {topic!r} of Kafka at {kafka.bootstrap_servers!r}"
    if error.code() == KafkaError.TOPIC_EXCEPTION or not _TOPIC_NAME.fullmatch(topic):
        return f"{where} is not a name that Kafka accepts; check MCENTER_KAFKA_TOPIC_PREFIX"
    if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:  # noqa: SLF001 - confluent's name
        return f"{where} does not exist; check MCENTER_KAFKA_TOPIC_PREFIX, or run `mcenter topics create`"
    if error.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}:
        return f"{where} is not open to this user: {error.str()}; it needs the right to describe and write it"
    return f"{where}: {error.str()}"
