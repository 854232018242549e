"""The Kafka side of the sink: which partitions are owned, from where each is read, and commits that carry intents."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import client_config
from parallelm.sinks.errors import LostCertaintyError, NotReadyError, RetryLaterError
from parallelm.sinks.intent import Committed, read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.connections import KafkaSettings

_LOG = logging.getLogger(__name__)
_REQUEST_TIMEOUT_S = 15.0


def make_consumer(kafka: KafkaSettings, group: str, session_timeout_s: float) -> Consumer:
    """A consumer that commits nothing by itself and never jumps over records silently."""
    return Consumer(
        client_config(
            kafka,
            group_id=group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            enable_partition_eof=True,
            session_timeout_ms=int(session_timeout_s * 1000),
            heartbeat_interval_ms=int(session_timeout_s * 1000 / 4),
            partition_assignment_strategy="roundrobin",
            queued_max_messages_kbytes=32_768,
            fetch_wait_max_ms=100,
        )
    )


class TopicIds:
    """Asks the cluster for topic ids: a topic deleted and made again is another topic, with offsets from 0."""

    def __init__(self, kafka: KafkaSettings) -> None:
        # It must outlive the futures that it returns.
        self._admin = AdminClient(client_config(kafka))

    def of(self, topics: Iterable[str]) -> dict[str, str]:
        """Ids by topic name; raises ``NotReadyError`` for a topic that is not there or a broker that is away."""
        names = sorted(set(topics))
        if not names:
            return {}
        found = {}
        try:
            asked = self._admin.describe_topics(TopicCollection(names), request_timeout=_REQUEST_TIMEOUT_S)
            for name, future in asked.items():
                found[name] = str(future.result(_REQUEST_TIMEOUT_S).topic_id)
        except (KafkaException, TimeoutError) as error:
            raise NotReadyError(
                f"topics cannot be read: {error}; create them with `mcenter topics create`, and see that the broker is up"
            ) from error
        return found


def committed_positions(
    consumer: Consumer, partitions: Sequence[TopicPartition]
) -> dict[tuple[str, int], tuple[int | None, Committed]]:
    """Committed offset (None when there is none) and what its metadata says, by (topic, partition)."""
    found = {}
    for each in consumer.committed(list(partitions), timeout=_REQUEST_TIMEOUT_S):
        if each.error is not None:
            raise RetryLaterError(
                f"the offset of {each.topic} [{each.partition}] cannot be read: {each.error}"
            )
        try:
            committed = read_metadata(each.metadata)
        except ValueError as error:
            raise LostCertaintyError(
                f"{each.topic} [{each.partition}] was committed by a newer sink: {error}; upgrade this one"
            ) from error
        found[each.topic, each.partition] = (each.offset if each.offset >= 0 else None, committed)
    return found


def starting_point(
    topic: str, partition: int, offset: int | None, committed: Committed, topic_id: str
) -> TopicPartition:
    """From where a partition is read: the committed offset, or the beginning of a new or recreated topic."""
    if offset is None:
        return TopicPartition(topic, partition, OFFSET_BEGINNING)
    if committed.topic_id and committed.topic_id != topic_id:
        _LOG.warning(
            "%s [%d] was deleted and made again (topic id %s, was %s): it is read from its beginning",
            topic,
            partition,
            topic_id,
            committed.topic_id,
        )
        return TopicPartition(topic, partition, OFFSET_BEGINNING)
    return TopicPartition(topic, partition, offset)


def commit(consumer: Consumer, positions: Sequence[tuple[str, int, int, str]]) -> None:
    """Commit (topic, partition, offset, metadata) and wait for the broker's answer.

    Raises ``RetryLaterError`` when it is not known to be committed; committing the same again is harmless.
    """
    if not positions:
        return
    try:
        answers: Any = consumer.commit(
            offsets=[TopicPartition(*position) for position in positions], asynchronous=False
        )
    except KafkaException as error:
        raise RetryLaterError(f"offsets cannot be committed: {error.args[0]}") from error
    for answer in answers:
        if answer.error is not None:
            raise RetryLaterError(
                f"the offset of {answer.topic} [{answer.partition}] was refused: {answer.error}"
            )
