"""Which shard a block goes to, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.connections import ClickHouseSettings
from parallelm.connections.shards import ShardMap
from parallelm.sinks.errors import InsertStateUnknownError, NotReadyError
from parallelm.sinks.intent import ONE_SERVER, Committed, Intent, Placement
from parallelm.sinks.rows import Source
from parallelm.sinks.shards import placement

if TYPE_CHECKING:
    from parallelm.sinks.errors import SinkError

SOURCE = Source("mlops.events", "id", 1)
MAP = ShardMap.of(ClickHouseSettings(shards="a = h1; b = h2", shards_version=2))


def pending(where: Placement) -> Committed:
    return Committed("id", Intent("id", 1, 0, 9, "token", "hash", placement=where), where)


@pytest.mark.parametrize(
    "committed",
    [
        Committed("", None),
        Committed("id", None, Placement("b", 2)),
        Committed("id", None, Placement("a", 1)),
        Committed("id", None, Placement("gone", 1)),
        Committed("id", None, ONE_SERVER),
        pending(Placement("b", 2)),
        pending(Placement("a", 1)),
        pending(ONE_SERVER),
    ],
)
def test_the_blocks_that_follow_go_where_the_map_says(committed: Committed) -> None:
    assert placement(MAP, committed, SOURCE) == Placement("b", 2)


@pytest.mark.parametrize(
    ("committed", "kind", "message"),
    [
        (
            Committed("id", None, Placement("b", 3)),
            NotReadyError,
            "version 3 of the map of shards, and this sink has version 2",
        ),
        (
            Committed("id", None, Placement("a", 2)),
            NotReadyError,
            "raise .* shards_version with every change",
        ),
        (pending(Placement("gone", 1)), InsertStateUnknownError, "into shard 'gone', .* put it back"),
    ],
)
def test_a_map_that_does_not_fit_what_was_written_is_refused(
    committed: Committed, kind: type[SinkError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        placement(MAP, committed, SOURCE)


def test_without_a_map_nothing_is_said_of_shards() -> None:
    one = ShardMap.of(ClickHouseSettings())
    assert placement(one, Committed("id", None, ONE_SERVER), SOURCE) == ONE_SERVER
    with pytest.raises(NotReadyError, match="this sink has version 0"):
        placement(one, Committed("id", None, Placement("b", 2)), SOURCE)
