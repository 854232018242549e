"""How far consumer groups are behind.

Processors write in transactions, whose markers take offsets of their own: a group that has read everything has
committed the offset after them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import COORDINATOR_IS_COMING
from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.topic_admin import connect, log_bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.connections import Settings

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One consumer group: its members, and the records that it has not committed yet."""

    group: str
    members: int
    records: int
    by_topic: dict[str, int]
    """The same by topic; topics that it has read to their end are not in it."""


def group_lags(settings: Settings) -> list[GroupLag]:
    """Lag of every consumer group.

    A coordinator that has just started or moved is asked again, for ``TIMEOUT_S``. Raises ``ClusterUnavailableError``
    when the brokers do not answer, ``TopicsError`` when they refuse.
    """
    from confluent_kafka import KafkaException

    admin, _ = connect(settings, TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return _group_lags(admin)
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() not in COORDINATOR_IS_COMING or time.monotonic() > deadline:
                raise ClusterUnavailableError(f"consumer groups cannot be read: {reason.str()}") from error
        except TimeoutError as error:
            raise ClusterUnavailableError(f"the brokers did not answer within {TIMEOUT_S:g} s") from error
        time.sleep(0.2)


def _group_lags(admin: Any) -> list[GroupLag]:
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException

    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    listed = admin.list_consumer_groups().result(TIMEOUT_S)
    for error in listed.errors:
        if error.code() in COORDINATOR_IS_COMING:
            raise KafkaException(error)
    names = sorted(group.group_id for group in listed.valid)
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
    wanted = {pair for pairs in read.values() for pair in pairs if pair[0] in topics}
    bounds = log_bounds(admin, sorted(wanted), TIMEOUT_S)
    lags = {name: _lag(read[name], committed[name], bounds) for name in names}
    return [GroupLag(name, len(described[name]), sum(lags[name].values()), lags[name]) for name in names]


def _assigned(members: Iterable[Any]) -> set[tuple[str, int]]:
    return {
        (partition.topic, partition.partition)
        for member in members
        if member.assignment
        for partition in member.assignment.topic_partitions
    }


def _lag(
    read: Iterable[tuple[str, int]],
    committed: Mapping[tuple[str, int], int],
    bounds: Mapping[tuple[str, int], tuple[int, int]],
) -> dict[str, int]:
    """Records by topic after the committed offsets; where nothing was committed, all that there are."""
    behind: dict[str, int] = {}
    for pair in read:
        first, end = bounds.get(pair, (0, 0))
        records = end - max(first, committed.get(pair, -1))
        if records > 0:
            behind[pair[0]] = behind.get(pair[0], 0) + records
    return behind
