"""Reads a topic from any point without joining a group, for people who look: nothing is committed, nobody rebalances."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.topic_admin import connect

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

    _, metadata = connect(settings, timeout_s)
    if name not in metadata.topics:
        raise TopicsError(f"topic {name!r} is not on the cluster; make it with `mcenter topics create`")
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
        partitions = [TopicPartition(name, number) for number in metadata.topics[name].partitions]
        bounds = {
            partition.partition: _asked(consumer.get_watermark_offsets, partition, timeout_s)
            for partition in partitions
        }
        begin = _start_offsets(consumer, partitions, bounds, start, timeout_s)
        consumer.assign([TopicPartition(name, number, offset) for number, offset in begin.items()])
        pending = {number: high for number, (_, high) in bounds.items() if begin[number] < high}
        kept = _until_now(consumer, pending, timeout_s)
        yield from _newest(kept, start.number) if start.kind == "latest" else kept
        if follow:
            yield from _from_now(consumer)
    finally:
        consumer.close()


def _start_offsets(
    consumer: Any,
    partitions: list[Any],
    bounds: dict[int, tuple[int, int]],
    start: StartPoint,
    timeout_s: float,
) -> dict[int, int]:
    if start.kind == "beginning":
        return {number: low for number, (low, _) in bounds.items()}
    if start.kind == "end":
        return {number: high for number, (_, high) in bounds.items()}
    if start.kind == "latest":
        return {number: max(low, high - start.number) for number, (low, high) in bounds.items()}
    for partition in partitions:
        partition.offset = start.number
    found = _asked(consumer.offsets_for_times, partitions, timeout_s)
    return {
        entry.partition: entry.offset if entry.offset >= 0 else bounds[entry.partition][1] for entry in found
    }


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


def _asked(question: Any, about: Any, timeout_s: float) -> Any:
    from confluent_kafka import KafkaException

    try:
        return question(about, timeout=timeout_s)
    except KafkaException as error:
        raise ClusterUnavailableError(
            f"the brokers did not tell where to start: {error.args[0].str()}"
        ) from error
