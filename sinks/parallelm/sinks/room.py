"""How much the partitions of a sink may hold. Pure functions.

A partition that cannot be written for now is paused, and what it holds does not count: the others go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.sinks.blocks import MAX_BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from parallelm.sinks.partition import PartitionWork

_MAX_PENDING_BYTES = 38 * 1024 * 1024
_MAX_PENDING_BYTES_OF_PARTITION = 2 * MAX_BLOCK_BYTES
_ENOUGH_BYTES = 26 * 1024 * 1024
_MAX_MADE_BYTES = 24 * 1024 * 1024


def to_pause(works: Mapping[tuple[str, int], PartitionWork]) -> set[tuple[str, int]]:
    """Partitions that must not be read: those that hold too much, all when their sum is too large."""
    pending = {place: work.pending_bytes for place, work in works.items() if not work.is_failing}
    if sum(pending.values()) > _MAX_PENDING_BYTES:
        return set(works)
    full = {place for place, size in pending.items() if size > _MAX_PENDING_BYTES_OF_PARTITION}
    return full | (works.keys() - pending.keys())


def has_enough(works: Collection[PartitionWork]) -> bool:
    """Whether as much waits as is written at once."""
    return sum(work.pending_bytes for work in _writable(works)) > _ENOUGH_BYTES


def is_full(works: Collection[PartitionWork]) -> bool:
    """Whether so many blocks are made that no more may be."""
    return sum(work.made_bytes for work in _writable(works)) > _MAX_MADE_BYTES


def _writable(works: Collection[PartitionWork]) -> Iterator[PartitionWork]:
    return (work for work in works if not work.is_failing)
