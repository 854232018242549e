"""How far consumer groups are behind.

Processors write in transactions, whose markers take offsets of their own: a group that has read everything has
committed the offset after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.consumer_groups import consumer_groups
from parallelm.schemas.topic_admin import connect, log_bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.connections import Settings
    from parallelm.schemas.consumer_groups import GroupMember

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One consumer group: its members, and the records that it has not committed yet."""

    group: str
    members: int
    records: int
    by_topic: dict[str, int]
    """The same by topic; topics that it has read to their end are not in it."""
    consumers: tuple[GroupMember, ...] = ()
    """Its members, by host."""


def group_lags(settings: Settings) -> list[GroupLag]:
    """Lag of every consumer group of this installation: of those named with its topic prefix.

    A coordinator that has just started or moved is asked again, for ``TIMEOUT_S``. Raises ``ClusterUnavailableError``
    when the brokers do not answer, or one goes away meanwhile, ``TopicsError`` when they refuse.
    """
    admin, metadata = connect(settings, TIMEOUT_S)
    prefix = settings.kafka.topic_prefix
    groups = [group for group in consumer_groups(settings.kafka, TIMEOUT_S) if group.name.startswith(prefix)]
    read = {group.name: group.assigned | set(group.committed) for group in groups}
    wanted = {pair for pairs in read.values() for pair in pairs if pair[0] in metadata.topics}
    bounds = log_bounds(admin, sorted(wanted), TIMEOUT_S)
    lags = {group.name: _lag(read[group.name], group.committed, bounds) for group in groups}
    return [
        GroupLag(group.name, group.members, sum(lags[group.name].values()), lags[group.name], group.consumers)
        for group in groups
    ]


def _lag(
    read: Iterable[tuple[str, int]],
    committed: Mapping[tuple[str, int], int],
    bounds: Mapping[tuple[str, int], tuple[int, int]],
) -> dict[str, int]:
    """Records by topic after the committed offsets; where nothing was committed, all that there are."""
    behind: dict[str, int] = {}
    for pair in read:
        first, end = bounds.get(pair, (0, 0))
        records = end - max(first, committed.get(pair, -1))
        if records > 0:
            behind[pair[0]] = behind.get(pair[0], 0) + records
    return behind
