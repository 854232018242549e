"""Up to where a consumer group has read, asked without joining it.

Not with an ``AdminClient``: its questions to the coordinator of a group end the process, by an assertion in librdkafka,
when that broker goes away meanwhile (https://github.com/confluentinc/librdkafka/pull/5397). Those about topics and
offsets of logs go another way and are safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import ClusterUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import KafkaSettings


class GroupOffsets:
    """Offsets that one consumer group has committed. Not thread-safe."""

    def __init__(self, kafka: KafkaSettings, group: str) -> None:
        from confluent_kafka import Consumer

        self._group = group
        self._consumer = Consumer(
            client_config(
                kafka,
                group_id=group,
                enable_auto_commit=False,
                isolation_level="read_uncommitted",  # else the question waits for open transactions
            )
        )

    def of(self, places: Sequence[tuple[str, int]], timeout_s: float) -> dict[tuple[str, int], int]:
        """Next offset by (topic, partition); 0 where nothing is committed.

        Raises ``ClusterUnavailableError`` when there is no answer in time.
        """
        from confluent_kafka import KafkaException, TopicPartition

        try:
            found = self._consumer.committed([TopicPartition(*place) for place in places], timeout=timeout_s)
        except KafkaException as error:
            raise ClusterUnavailableError(
                f"consumer group {self._group!r} cannot report its offsets: {error.args[0].str()}"
            ) from error
        begun = {(each.topic, each.partition): max(each.offset, 0) for each in found if each.error is None}
        return dict.fromkeys(places, 0) | begun

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()
