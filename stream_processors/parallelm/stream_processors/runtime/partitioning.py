"""Which partition a record of an MLApp goes to: murmur2 of its key, as Kafka's own clients have it."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2

from parallelm.schemas.topics import CONTROL_PARTITIONS

_POSITIVE = 0x7FFFFFFF


@lru_cache(maxsize=10_000)
def control_partition(mlapp_id: str) -> int:
    """Partition of an MLApp on every control topic."""
    return int(murmur2(mlapp_id.encode()) & _POSITIVE) % CONTROL_PARTITIONS
