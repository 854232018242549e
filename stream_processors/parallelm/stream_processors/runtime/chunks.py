"""What travels from Kafka's fetcher to a shard: the records of one partition that were fetched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.records import RecordPosition

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Incoming:
    """One record of a topic."""

    topic: str
    """Name with prefix."""
    partition: int
    offset: int
    arrived_ms: int
    """The broker's clock (LogAppendTime), epoch milliseconds."""
    key: bytes | None
    value: bytes | None

    @property
    def position(self) -> RecordPosition:
        """Where it stands: the cause of what follows from it."""
        return RecordPosition(topic=self.topic, partition=self.partition, offset=self.offset)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition in the order of their offsets; there may be none.

    ``next_offset`` is where reading goes on. It lies beyond the last record where transaction markers or records taken
    by compaction follow it: a chunk without records says that only such were there.
    """

    topic: str
    partition: int
    assignment: int
    """Number of the assignment under which it was fetched: after a rebalance the partition may be another worker's.

    Not the group's generation: a member that joins again may get the same one, and what was on its way then is lost.
    """
    first_offset: int | None
    """Where the chunk before it under the same assignment ended; None when it is the first."""
    next_offset: int
    end: int
    """Offset after the newest record of the partition, as the fetch reported it."""
    records: Sequence[Incoming]
