"""After a backup was restored: the rows of records that are on a topic again are in the warehouse already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.schemas.topic_admin import connect, log_bounds, topic_ids
from parallelm.schemas.well_known import SINK_GROUP
from parallelm.sinks.consumer import commit
from parallelm.sinks.intent import ONE_SERVER, done_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

_TIMEOUT_S = 30.0


def start_after(settings: Settings, topics: Iterable[Topic], group: str = "") -> None:
    """Let the sinks begin after what these topics hold now. No sink of the group may run.

    Raises ``RetryLaterError`` when the broker refuses the positions.
    """
    prefix = settings.kafka.topic_prefix
    names = [topic.full_name(prefix) for topic in topics]
    admin, metadata = connect(settings, _TIMEOUT_S)
    ids = topic_ids(admin, names, _TIMEOUT_S)
    places = [(name, partition) for name in names for partition in metadata.topics[name].partitions]
    ends = log_bounds(admin, places, _TIMEOUT_S)
    consumer = Consumer(
        client_config(settings.kafka, group_id=group or f"{prefix}{SINK_GROUP}", enable_auto_commit=False)
    )
    try:
        consumer.assign([TopicPartition(*place) for place in places])
        commit(
            consumer,
            [(*place, end, done_metadata(ids[place[0]], ONE_SERVER)) for place, (_, end) in ends.items()],
        )
    finally:
        consumer.close()
