"""Reads a topic from any point without joining a group, for people who look: nothing is committed, nobody rebalances."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.topic_admin import connect, log_offsets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parallelm.connections import Settings

_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Where to start in each partition: ``beginning``, ``end``, the ``latest`` n records, or a ``time``."""

    kind: str
    number: int = 0
    """Records for ``latest``; epoch milliseconds of ingestion for ``time``."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as it lies in the log."""

    partition: int
    offset: int
    ingested_at_ms: int
    key: bytes | None
    value: bytes | None


def read_topic(
    settings: Settings, name: str, start: StartPoint, *, follow: bool, timeout_s: float = 15.0
) -> Iterator[RawRecord]:
    """Records of topic ``name`` (with prefix), in order within each partition.

    Ends after those that were the newest when it began; with ``follow`` never. ``latest`` is over all partitions
    together, by time of ingestion. Raises ``ClusterUnavailableError`` when no broker answers and ``TopicsError`` when
    the topic is not there.
    """
    from confluent_kafka import Consumer, TopicPartition

    admin, metadata = connect(settings, timeout_s)
    if name not in metadata.topics:
        raise TopicsError(f"topic {name!r} is not on the cluster; make it with `mcenter topics create`")
    partitions = list(metadata.topics[name].partitions)
    begin, end = _bounds(admin, name, partitions, start, timeout_s)
    consumer = Consumer(
        client_config(
            settings.kafka,
            group_id="mcenter-tail",
            enable_auto_commit=False,
            enable_partition_eof=True,
            auto_offset_reset="earliest",
        )
    )
    try:
        consumer.assign([TopicPartition(name, number, offset) for number, offset in begin.items()])
        pending = {number: end[number] for number in partitions if begin[number] < end[number]}
        kept = _until_now(consumer, pending, timeout_s)
        yield from _newest(kept, start.number) if start.kind == "latest" else kept
        if follow:
            yield from _from_now(consumer)
    finally:
        consumer.close()


def _bounds(
    admin: Any, name: str, partitions: list[int], start: StartPoint, timeout_s: float
) -> tuple[dict[int, int], dict[int, int]]:
    """Offset at which to start in each partition, and the one after its newest record."""
    from confluent_kafka.admin import OffsetSpec

    places = [(name, number) for number in partitions]

    def asked(spec: Any) -> dict[int, int]:
        return {number: offset for (_, number), offset in log_offsets(admin, places, spec, timeout_s).items()}

    end = asked(OffsetSpec.latest())
    if start.kind == "end":
        return end, end
    if start.kind == "time":
        found = asked(OffsetSpec.for_timestamp(start.number))
        return {number: offset if offset >= 0 else end[number] for number, offset in found.items()}, end
    begin = asked(OffsetSpec.earliest())
    if start.kind == "latest":
        begin = {number: max(low, end[number] - start.number) for number, low in begin.items()}
    return begin, end


def _until_now(consumer: Any, pending: dict[int, int], timeout_s: float) -> Iterator[RawRecord]:
    """Records until every partition of ``pending`` has reached its end there."""
    heard_at = time.monotonic()
    while pending:
        message = consumer.poll(_POLL_S)
        if message is None:
            if time.monotonic() - heard_at > timeout_s:
                raise ClusterUnavailableError(f"the brokers sent nothing for {timeout_s:g} s")
            continue
        heard_at = time.monotonic()
        number = message.partition()
        if _at_end(message):
            # The last offsets before an end may hold no record: markers of transactions, compacted ones.
            pending.pop(number, None)
            continue
        yield _record(message)
        if message.offset() + 1 >= pending.get(number, 0):
            pending.pop(number, None)


def _from_now(consumer: Any) -> Iterator[RawRecord]:
    while True:
        message = consumer.poll(_POLL_S)
        if message is not None and not _at_end(message):
            yield _record(message)


def _at_end(message: Any) -> bool:
    """Whether this is no record but the news that a partition has no more; raises ``TopicsError`` for worse news."""
    from confluent_kafka import KafkaError

    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
        return True
    raise TopicsError(f"reading topic {message.topic()!r} failed: {error.str()}")


def _record(message: Any) -> RawRecord:
    return RawRecord(
        message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value()
    )


def _newest(records: Iterable[RawRecord], count: int) -> list[RawRecord]:
    return sorted(records, key=lambda record: (record.ingested_at_ms, record.partition, record.offset))[
        -count:
    ]
