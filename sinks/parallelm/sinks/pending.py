"""Inserts that may or may not be in ClickHouse: they must be resolved before a migration changes the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import client_config
from parallelm.sinks.errors import NotReadyError
from parallelm.sinks.intent import read_metadata
from parallelm.sinks.tables import STORED_TOPICS

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.sinks.intent import Intent

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class PendingInsert:
    """A block whose insert a sink has announced and not yet confirmed."""

    group: str
    topic: str
    """Name with prefix."""
    intent: Intent


def pending_inserts(settings: Settings) -> list[PendingInsert]:
    """Those of every consumer group of this platform's topics; raises ``NotReadyError`` when the broker does not answer."""
    names = {topic.full_name(settings.kafka.topic_prefix) for topic in STORED_TOPICS}
    admin = AdminClient(client_config(settings.kafka))
    found = []
    try:
        listed = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
        if listed.errors:  # brokers that did not answer may know groups of which nothing is listed
            raise listed.errors[0]
        for group in listed.valid:
            asked = admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group.group_id)], request_timeout=_TIMEOUT_S
            )
            for each in asked[group.group_id].result(_TIMEOUT_S).topic_partitions:
                intent = _intent(each.metadata) if each.topic in names else None
                if intent is not None:
                    found.append(PendingInsert(group.group_id, each.topic, intent))
    except (KafkaException, TimeoutError) as error:
        raise NotReadyError(
            f"whether a sink left an insert half done cannot be read from Kafka: {error}; see that the broker is up"
        ) from error
    return found


def _intent(metadata: str | None) -> Intent | None:
    try:
        return read_metadata(metadata).intent
    except ValueError:  # committed by another kind of consumer
        return None
