"""Which records one insert holds: a fixed range of offsets of one partition, bounded in size. Pure functions.

The server must never split an insert, or a replay could double its parts: a block is bounded in what its records
unfold into as well, which only shows when they are decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from clickhouse_cityhash.cityhash import CityHash128

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_RECORD = struct.Struct("<qqqq")
_HASHED_AT_ONCE = 256
_OBJECTS_OF_RECORD = 240
"""Memory of a record's Python objects, without their contents."""

MAX_BLOCK_SAMPLES = 600_000
"""Rows that one insert may unfold into."""

MAX_UNFOLDED_BYTES = 128 * 1024 * 1024
"""Memory that these rows may take on the server: the labels of a series are copied to each of its samples."""

MAX_BLOCK_BYTES = 16 * 1024 * 1024
"""Size of the records of one block. A larger record is a block of its own."""


class ConsumedRecord(NamedTuple):
    """One record as it came from Kafka."""

    offset: int
    ingested_at_ms: int
    """Kafka's LogAppendTime."""
    key: bytes | None
    value: bytes | None

    @property
    def size_bytes(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")

    @property
    def held_bytes(self) -> int:
        """Memory that it takes."""
        return self.size_bytes + _OBJECTS_OF_RECORD


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets ``first..last`` (both included) of one partition: what one insert holds."""

    topic_id: str
    partition: int
    first: int
    last: int

    @property
    def token(self) -> str:
        """Deduplication token: two inserts share it exactly when they hold the same offsets."""
        return f"{self.topic_id}/{self.partition}/{self.first}-{self.last}"


def block_length(records: Sequence[ConsumedRecord], max_bytes: int = MAX_BLOCK_BYTES) -> int:
    """How many of ``records``, counted from the first, form the next block: at least one, unless there are none."""
    size = 0
    for count, record in enumerate(records):
        size += record.size_bytes
        if count and size > max_bytes:
            return count
    return len(records)


def replay_length(records: Sequence[ConsumedRecord], last: int, end_offset: int | None) -> int | None:
    """How many of ``records`` belong to the block that ended at offset ``last``; None while more may arrive.

    ``end_offset`` is the partition's end when the consumer reached it. Offsets have gaps: a record below it that has
    not arrived does not exist.
    """
    complete = bool(records) and records[-1].offset >= last
    if not complete and (end_offset is None or end_offset <= last):
        return None
    return sum(1 for record in records if record.offset <= last)


def content_hash(records: Sequence[ConsumedRecord]) -> str:
    """Hash of offsets, arrivals, keys and values: equal when a rebuilt block holds the same records, and only then.

    Against records that are others by accident (a log that lost its end, a topic of the same id), not against forgery.
    """
    digest = b""
    for start in range(0, len(records), _HASHED_AT_ONCE):
        parts = [digest]
        for record in records[start : start + _HASHED_AT_ONCE]:
            key, value = record.key, record.value
            lengths = (-1 if key is None else len(key), -1 if value is None else len(value))
            parts += (_RECORD.pack(record.offset, record.ingested_at_ms, *lengths), key or b"", value or b"")
        digest = CityHash128(b"".join(parts)).to_bytes(16, "little")
    return digest.hex()


def flush_interval_s(
    partitions_by_table: Iterable[int], *, shortest_s: float, inserts_a_second: float
) -> float:
    """How long to collect before inserting: dozens of small inserts a second into one table cost more than their rows."""
    return max(shortest_s, max(partitions_by_table, default=0) / inserts_a_second)
