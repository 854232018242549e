"""Topics on a live cluster as the catalogue wants them: create, check, list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from parallelm.connections import Settings

_MAX_REPLICATION = 3


def create_topics(settings: Settings, *, timeout_s: float = 15.0) -> list[str]:
    """Create what is missing and return the names created, with prefix. Topics that exist are left alone.

    Raises ``ClusterUnavailableError`` when no broker answers, ``TopicsError`` when one refuses.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.cimpl import NewTopic

    admin, metadata = _connect(settings, timeout_s)
    prefix = settings.kafka.topic_prefix
    replication = min(_MAX_REPLICATION, len(metadata.brokers))
    wanted = [
        NewTopic(topic.full_name(prefix), topic.partitions, replication, config=topic.config)
        for topic in CATALOGUE
        if topic.full_name(prefix) not in metadata.topics
    ]
    if not wanted:
        return []
    created: list[str] = []
    for name, future in admin.create_topics(wanted, operation_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            raise TopicsError(f"topic {name!r} was not created: {error.args[0].str()}") from error
        created.append(name)
    return created


def _connect(settings: Settings, timeout_s: float) -> tuple[Any, Any]:
    """Admin client and the cluster's metadata. The client must outlive the futures it returns."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(client_config(settings.kafka))
    try:
        return admin, admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise ClusterUnavailableError(
            f"no Kafka broker answered at {settings.kafka.bootstrap_servers!r} within {timeout_s:g} s: "
            f"{error.args[0].str()}; start one with `mcenter up`, or set MCENTER_KAFKA_BOOTSTRAP_SERVERS"
        ) from error
