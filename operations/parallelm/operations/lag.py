"""How far consumer groups are behind, and how many dead letters lie on their topic."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.connections import Settings

TIMEOUT_S = 5.0
_CHANGELOG_SUFFIX = "-changelog"
"""Faust reads the changelog of a table when it starts and commits nothing for it: that is no lag."""


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One consumer group: its members, and the records that it has not committed yet."""

    group: str
    members: int
    records: int
    by_topic: dict[str, int]
    """The same by topic; topics that it has read to their end are not in it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still to be done, and what could not be done."""

    groups: list[GroupLag]
    dead_letters: int


def backlog(settings: Settings) -> Backlog:
    """Lag of every consumer group, and dead letters; raises ``KafkaException`` when the broker does not answer.

    A new partition, or one of a broker that has just started, has no leader for a moment: such answers are asked for
    again, for ``TIMEOUT_S``.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    from parallelm.connections.kafka import client_config

    passing = {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
    admin = AdminClient(client_config(settings.kafka))
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return _backlog(admin, DEAD_LETTERS.full_name(settings.kafka.topic_prefix))
        except KafkaException as error:
            if error.args[0].code() not in passing or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _backlog(admin: Any, dead_letters: str) -> Backlog:
    from confluent_kafka import ConsumerGroupTopicPartitions

    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    names = sorted(group.group_id for group in admin.list_consumer_groups().result(TIMEOUT_S).valid)
    committed = {
        name: {
            (partition.topic, partition.partition): partition.offset
            for partition in admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name]
            .result(TIMEOUT_S)
            .topic_partitions
        }
        for name in names
    }
    described = {
        name: future.result(TIMEOUT_S).members
        for name, future in (admin.describe_consumer_groups(names).items() if names else ())
    }
    read = {name: _assigned(described[name]) | set(committed[name]) for name in names}
    dead_letter_partitions = [
        (dead_letters, number)
        for number in (topics[dead_letters].partitions if dead_letters in topics else ())
    ]
    wanted = {
        *dead_letter_partitions,
        *(pair for pairs in read.values() for pair in pairs if pair[0] in topics),
    }
    starts, ends = (_offsets(admin, wanted, latest=latest) for latest in (False, True))
    lags = {name: _lag(read[name], committed[name], starts, ends) for name in names}
    groups = [GroupLag(name, len(described[name]), sum(lags[name].values()), lags[name]) for name in names]
    return Backlog(groups, sum(ends[pair] - starts[pair] for pair in dead_letter_partitions))


def _assigned(members: Iterable[Any]) -> set[tuple[str, int]]:
    return {
        (partition.topic, partition.partition)
        for member in members
        if member.assignment
        for partition in member.assignment.topic_partitions
        if not partition.topic.endswith(_CHANGELOG_SUFFIX)
    }


def _lag(
    read: Iterable[tuple[str, int]],
    committed: Mapping[tuple[str, int], int],
    starts: Mapping[tuple[str, int], int],
    ends: Mapping[tuple[str, int], int],
) -> dict[str, int]:
    """Records by topic after the committed offsets; where nothing was committed, all that there are."""
    behind: dict[str, int] = {}
    for pair in read:
        records = ends[pair] - max(starts[pair], committed.get(pair, -1)) if pair in ends else 0
        if records > 0:
            behind[pair[0]] = behind.get(pair[0], 0) + records
    return behind


def _offsets(admin: Any, pairs: Iterable[tuple[str, int]], *, latest: bool) -> dict[tuple[str, int], int]:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import OffsetSpec

    spec = OffsetSpec.latest() if latest else OffsetSpec.earliest()
    asked = {TopicPartition(topic, number): spec for topic, number in pairs}
    if not asked:
        return {}
    futures = admin.list_offsets(asked, request_timeout=TIMEOUT_S)
    return {
        (partition.topic, partition.partition): future.result(TIMEOUT_S).offset
        for partition, future in futures.items()
    }
