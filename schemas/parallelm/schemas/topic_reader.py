"""Reads topics from any point without joining a group: nothing is committed, and no group rebalances."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.errors import ClusterUnavailableError, TopicsError
from parallelm.schemas.topic_admin import connect, log_bounds, log_offsets, transient_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from parallelm.connections import KafkaSettings, Settings

_POLL_S = 0.2
_BATCH = 500


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Where to start in each partition: ``beginning``, ``end``, the ``latest`` n records, or a ``time``."""

    kind: str
    number: int = 0
    """Records for ``latest``; epoch milliseconds of ingestion for ``time``."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as stored in the log."""

    partition: int
    offset: int
    ingested_at_ms: int
    key: bytes | None
    value: bytes | None


def read_topic(
    settings: Settings, name: str, start: StartPoint, *, follow: bool, timeout_s: float = 15.0
) -> Iterator[RawRecord]:
    """Records of topic ``name`` (with prefix), in order within each partition.

    Ends after the records that were the newest at the start; with ``follow`` it never ends. ``latest`` is over all partitions
    together, by time of ingestion. Raises ``ClusterUnavailableError`` when no broker answers and ``TopicsError`` when
    the topic does not exist.
    """
    from confluent_kafka import Consumer, TopicPartition

    admin, metadata = connect(settings, timeout_s)
    if name not in metadata.topics:
        raise TopicsError(f"topic {name!r} is not on the cluster; create it with `mcenter topics create`")
    partitions = list(metadata.topics[name].partitions)
    first, begin, end = _bounds(admin, name, partitions, start, timeout_s)
    consumer = Consumer(reader_config(settings.kafka, "mcenter-tail"))

    def until_now(begin: Mapping[int, int]) -> Iterator[RawRecord]:
        consumer.assign([TopicPartition(name, number, offset) for number, offset in begin.items()])
        pending = {(name, number): end[number] for number in partitions if begin[number] < end[number]}
        return map(_record, read_to_end(consumer, pending, timeout_s))

    try:
        if start.kind == "latest":
            yield from _newest(until_now, first, end, start.number)
        else:
            yield from until_now(begin)
        if follow:
            yield from _from_now(consumer)
    finally:
        consumer.close()


def read_one(
    settings: Settings, name: str, partition: int, offset: int, timeout_s: float
) -> RawRecord | None:
    """Record at an offset of topic ``name`` (with prefix); None when the topic does not hold it any more.

    Raises ``ClusterUnavailableError`` when no broker answers.
    """
    from confluent_kafka import Consumer, TopicPartition

    admin, metadata = connect(settings, timeout_s)
    if name not in metadata.topics or partition not in metadata.topics[name].partitions:
        return None
    place = (name, partition)
    first, end = log_bounds(admin, [place], timeout_s)[place]
    if not first <= offset < end:
        return None
    consumer = Consumer(reader_config(settings.kafka, "mcenter-record"))
    try:
        consumer.assign([TopicPartition(name, partition, offset)])
        messages = read_to_end(consumer, {place: offset + 1}, timeout_s)
        return next((_record(message) for message in messages if message.offset() == offset), None)
    finally:
        consumer.close()


def _bounds(
    admin: Any, name: str, partitions: list[int], start: StartPoint, timeout_s: float
) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Of each partition the first offset of the log, the one at which to start, and the one after its newest record."""
    from confluent_kafka.admin import OffsetSpec

    places = [(name, number) for number in partitions]

    def asked(spec: Any) -> dict[int, int]:
        return {number: offset for (_, number), offset in log_offsets(admin, places, spec, timeout_s).items()}

    first, end = asked(OffsetSpec.earliest()), asked(OffsetSpec.latest())
    if start.kind == "end":
        return first, end, end
    if start.kind == "time":
        found = asked(OffsetSpec.for_timestamp(start.number))
        return (
            first,
            {number: offset if offset >= 0 else end[number] for number, offset in found.items()},
            end,
        )
    return first, first, end


def reader_config(kafka: KafkaSettings, name: str, **options: Any) -> dict[str, Any]:
    """Configuration of a consumer for ``read_to_end``: it commits nothing, and reports where partitions end."""
    return client_config(
        kafka,
        group_id=name,
        enable_auto_commit=False,
        enable_partition_eof=True,
        auto_offset_reset="earliest",
        fetch_wait_max_ms=20,
        **options,
    )


def read_to_end(
    consumer: Any,
    ends: Mapping[tuple[str, int], int],
    timeout_s: float,
    on_poll: Callable[[], None] = lambda: None,
    on_end: Callable[[tuple[str, int], int], None] = lambda _place, _offset: None,
) -> Iterator[Any]:
    """Messages until every partition has reached its offset in ``ends``; a few later ones may be included.

    The consumer must be made with ``reader_config`` and assigned. Waits for a broker that is away for a moment.
    ``on_poll`` is called before each poll; what it raises ends the reading. ``on_end`` is told where a partition ends,
    which a consumer says once: who reads on with it must know that there is nothing before that offset. Raises ``ClusterUnavailableError`` when
    nothing arrives for ``timeout_s``, ``TopicsError`` for other errors.
    """
    pending = dict(ends)
    heard_at, reason = time.monotonic(), ""
    while pending:
        on_poll()
        for message in consumer.consume(_BATCH, timeout=_POLL_S):
            error = message.error()
            if error is not None and error.code() in transient_codes():
                reason = f": {error.str()}"
                continue
            heard_at, place = time.monotonic(), (message.topic(), message.partition())
            if _at_end(message):
                # The last offsets before an end may have no record: markers of transactions, compacted ones.
                on_end(place, message.offset())
                pending.pop(place, None)
                continue
            yield message
            if message.offset() + 1 >= pending.get(place, 0):
                pending.pop(place, None)
        if pending and time.monotonic() - heard_at > timeout_s:
            raise ClusterUnavailableError(f"the brokers sent nothing for {timeout_s:g} s{reason}")


def _from_now(consumer: Any) -> Iterator[RawRecord]:
    while True:
        message = consumer.poll(_POLL_S)
        if message is not None and not _at_end(message):
            yield _record(message)


def _at_end(message: Any) -> bool:
    """True at the end of a partition; raises ``TopicsError`` on any other error."""
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


def _newest(
    read_from: Callable[[Mapping[int, int]], Iterable[RawRecord]],
    first: Mapping[int, int],
    end: Mapping[int, int],
    count: int,
) -> list[RawRecord]:
    """The newest ``count`` records; read from further back while markers of transactions are among the last offsets."""
    back = count
    while True:
        begin = {number: max(low, end[number] - back) for number, low in first.items()}
        found = list(read_from(begin))
        # Each partition could hold all of them: until that many records of it are known, read on.
        per_partition = Counter(record.partition for record in found)
        if all(begin[number] == first[number] or per_partition[number] >= count for number in begin):
            break
        back *= 4
    return sorted(found, key=lambda record: (record.ingested_at_ms, record.partition, record.offset))[-count:]
