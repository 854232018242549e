"""Reads a shard's changelog back: every record that a transaction has committed, from the first to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.topic_reader import read_to_end, reader_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings

_TIMEOUT_S = 30.0


def read_changelog(settings: Settings, topic: str, partition: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Keys and values of one partition in order; raises ``ClusterUnavailableError`` when the broker stops answering.

    Blocks: for a thread of its own. The shard's transactional producer must be open, so that nothing of an earlier owner
    is still in flight.
    """
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    # No member of the group: the partition is assigned by hand, and nothing is committed.
    consumer = Consumer(reader_config(settings.kafka, "mcenter-recovery", isolation_level="read_committed"))
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        everything = {(topic, partition): 1 << 62}  # the end is where the broker says that the partition ends
        for message in read_to_end(consumer, everything, _TIMEOUT_S):
            yield message.key() or b"", message.value()
    finally:
        consumer.close()
