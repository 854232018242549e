"""Topics that a test makes itself, beside or instead of the catalogue's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from parallelm.connections.kafka import client_config
from parallelm.schemas.topic_admin import log_offsets
from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from parallelm.connections import Settings


def make_topics(settings: Settings, *topics: NewTopic) -> None:
    """Create topics and wait until they are served: a broker confirms a topic some time before it lists it."""
    admin = AdminClient(client_config(settings.kafka))
    for future in admin.create_topics(list(topics)).values():
        future.result(DEADLINE_S)
    places = [(topic.topic, number) for topic in topics for number in range(topic.num_partitions)]
    log_offsets(admin, places, OffsetSpec.latest(), DEADLINE_S)
