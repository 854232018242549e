"""On which shard of ClickHouse the next block of a partition goes. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.sinks.errors import InsertStateUnknownError, NotReadyError
from parallelm.sinks.intent import Placement

if TYPE_CHECKING:
    from parallelm.connections.shards import ShardMap
    from parallelm.sinks.intent import Committed
    from parallelm.sinks.rows import Source


def placement(shards: ShardMap, committed: Committed, source: Source) -> Placement:
    """Where the blocks go that follow what was committed; the block of a pending intent stays on its own shard.

    Raises ``NotReadyError`` when the partition was written by a newer map, or by another one of the same version, and
    ``InsertStateUnknownError`` when the map lacks the shard of a pending intent.
    """
    where, last = f"{source.topic} [{source.partition}]", committed.placement
    own = Placement(shards.of_partition(source.partition).name, shards.version)
    if last.map_version > own.map_version:
        raise NotReadyError(
            f"{where} was written by version {last.map_version} of the map of shards, and this sink has version "
            f"{own.map_version}: give it the settings [clickhouse] shards and shards_version of the others"
        )
    if committed.topic_id and last.map_version == own.map_version and last.shard != own.shard:
        raise NotReadyError(
            f"{where} was written to shard {last.shard!r} by version {last.map_version} of the map of shards, which "
            f"names shard {own.shard!r} here: raise [clickhouse] shards_version with every change of shards"
        )
    if committed.intent is not None and shards.named(last.shard) is None:
        raise InsertStateUnknownError(
            f"{where} offsets {committed.intent.first} to {committed.intent.last}: a crashed sink was inserting them "
            f"into shard {last.shard!r}, which [clickhouse] shards no longer has: put it back, raise shards_version, "
            "and start the sinks again; take it out once the lag is 0 and all sinks were stopped with SIGTERM"
        )
    return own
