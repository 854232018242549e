"""How far the tables are behind the topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Consumer

    from parallelm.sinks.partition import PartitionWork


def lag_of(
    consumer: Consumer, topics: Iterable[str], works: Mapping[tuple[str, int], PartitionWork]
) -> dict[str, int]:
    """Records by topic that are not in ClickHouse yet, as far as the consumer knows without asking."""
    lag = dict.fromkeys(topics, 0)
    for (topic, partition), work in works.items():
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        if work.position is not None and high > work.position:
            lag[topic] += high - work.position
        lag[topic] += len(work.pending) + sum(
            block.record_count for block in (work.block, work.following) if block
        )
    return lag
