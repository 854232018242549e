"""Inserts that may or may not be in ClickHouse: they must be resolved before a migration changes the tables."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import COORDINATOR_IS_COMING, client_config
from parallelm.sinks.errors import NotReadyError
from parallelm.sinks.intent import read_metadata
from parallelm.sinks.tables import STORED_TOPICS

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelm.connections import Settings
    from parallelm.sinks.intent import Intent

_TIMEOUT_S = 15.0
_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class PendingInsert:
    """A block whose insert a sink has announced and not yet confirmed."""

    group: str
    topic: str
    """Name with prefix."""
    intent: Intent


def pending_inserts(settings: Settings) -> list[PendingInsert]:
    """Those of every consumer group of this platform's topics.

    A broker that has just started and still loads its groups is asked again, for 15 s. Raises ``NotReadyError`` when it does
    not answer.
    """
    names = {topic.full_name(settings.kafka.topic_prefix) for topic in STORED_TOPICS}
    admin = AdminClient(client_config(settings.kafka))
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return _listed(admin, names)
        except (KafkaException, TimeoutError) as error:
            code = error.args[0].code() if isinstance(error, KafkaException) else None
            if code not in COORDINATOR_IS_COMING or time.monotonic() > deadline:
                raise NotReadyError(
                    f"whether a sink left an insert half done cannot be read from Kafka: {error}; see that the broker is up"
                ) from error
        time.sleep(_AGAIN_S)


def _listed(admin: AdminClient, topics: Collection[str]) -> list[PendingInsert]:
    found = []
    listed = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S)
    if listed.errors:  # brokers that did not answer may know groups of which nothing is listed
        raise KafkaException(listed.errors[0])
    for group in listed.valid:
        asked = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group.group_id)], request_timeout=_TIMEOUT_S
        )
        for each in asked[group.group_id].result(_TIMEOUT_S).topic_partitions:
            intent = _intent(each.metadata) if each.topic in topics else None
            if intent is not None:
                found.append(PendingInsert(group.group_id, each.topic, intent))
    return found


def _intent(metadata: str | None) -> Intent | None:
    try:
        return read_metadata(metadata).intent
    except ValueError:  # committed by another kind of consumer
        return None
