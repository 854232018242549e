"""Reads transitions of all partitions in the order of the broker's clock, and silences as a table.

While some partition is behind, records wait until it is known that none of it comes before them: what a notifier decides
of a backlog does not depend on which partition happens to be read first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.schemas.dead_letters import concerns
from parallelm.schemas.errors import TopicsError
from parallelm.schemas.topic_admin import transient_codes
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.well_known import NOTIFIER_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.connections import Settings

_BATCH = 500
_QUEUE_MAX, _QUEUE_LOW = 2_000, 500

Place = tuple[str, int]
"""Topic with prefix, and partition."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record that was read."""

    place: Place
    offset: int
    arrived_at_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class _Partition:
    waiting: deque[Arrived]
    end: int = -1
    """Offset at which it ended when it was read to its end the last time; there may be markers of transactions before it."""
    is_paused: bool = False


class Inputs:
    """A consumer without a group; the caller stores the positions. Not thread-safe."""

    def __init__(self, settings: Settings, begin: Mapping[Place, int], at_once: set[str]) -> None:
        """``begin``: next offset of each partition. Records of topics in ``at_once`` are handed out as they come."""
        from confluent_kafka import Consumer, TopicPartition

        self._group = f"{settings.kafka.topic_prefix}{NOTIFIER_GROUP}"
        self._at_once = at_once
        self._partitions = {place: _Partition(deque()) for place in begin}
        self._consumer = Consumer(
            reader_config(settings.kafka, "mcenter-notifier", isolation_level="read_committed")
        )
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in begin.items()])

    @property
    def is_caught_up(self) -> bool:
        """Whether every partition was read to its end once, and nothing waits."""
        return all(each.end >= 0 and not each.waiting for each in self._partitions.values())

    def ends(self) -> dict[Place, int]:
        """Where each partition ends of which nothing waits, as far as it was read."""
        return {place: each.end for place, each in self._partitions.items() if not each.waiting}

    def read(self, timeout_s: float) -> Iterator[Arrived]:
        """What has come, in order. Raises ``TopicsError`` for what a retry does not mend."""
        for message in self._consumer.consume(_BATCH, timeout=timeout_s):
            yield from self._take(message)
        yield from self._in_order()
        self._hold_back()

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _take(self, message: Any) -> Iterator[Arrived]:
        from confluent_kafka import KafkaError

        error = message.error()
        place = (message.topic(), message.partition())
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
                self._partitions[place].end = message.offset()
            elif error.code() not in transient_codes():
                raise TopicsError(f"reading topic {message.topic()!r} failed: {error.str()}")
            return
        if not concerns(message.headers(), self._group):
            return
        arrived = Arrived(place, message.offset(), message.timestamp()[1], message.key(), message.value())
        if place[0] in self._at_once:
            yield arrived
        else:
            self._partitions[place].waiting.append(arrived)

    def _in_order(self) -> Iterator[Arrived]:
        while True:
            heads = [each.waiting[0] for each in self._partitions.values() if each.waiting]
            if not heads or any(
                not each.waiting and each.end < 0 for place, each in self._partitions.items()
            ):
                return
            first = min(heads, key=lambda each: (each.arrived_at_ms, each.place, each.offset))
            self._partitions[first.place].waiting.popleft()
            yield first

    def _hold_back(self) -> None:
        from confluent_kafka import TopicPartition

        for place, each in self._partitions.items():
            if not each.is_paused and len(each.waiting) > _QUEUE_MAX:
                self._consumer.pause([TopicPartition(*place)])
                each.is_paused = True
            elif each.is_paused and len(each.waiting) < _QUEUE_LOW:
                self._consumer.resume([TopicPartition(*place)])
                each.is_paused = False
