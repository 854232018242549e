"""Whether the sinks have stored what the topics hold: what is asked of the tables before something is sent again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.schemas.group_offsets import GroupOffsets
from parallelm.schemas.topic_admin import connect, log_bounds
from parallelm.schemas.well_known import SINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

_ANSWER_S = 15.0
_POLL_S = 0.1


def wait_until_stored(settings: Settings, topics: Sequence[Topic], timeout_s: float) -> int:
    """Wait until the sinks have read these topics to where they end now; how many records they are behind when the time is over.

    A topic of which they have not stored anything is one that they are behind on. Raises ``ClusterUnavailableError`` when
    the brokers do not answer.
    """
    prefix = settings.kafka.topic_prefix
    admin, metadata = connect(settings, _ANSWER_S)
    names = [topic.full_name(prefix) for topic in topics]
    places = [
        (name, partition)
        for name in names
        if name in metadata.topics
        for partition in metadata.topics[name].partitions
    ]
    offsets = GroupOffsets(settings.kafka, f"{prefix}{SINK_GROUP}")
    deadline = time.monotonic() + timeout_s
    try:
        # Where others write all the time, the ends of later would never be reached.
        ends = {place: end for place, (_, end) in log_bounds(admin, places, _ANSWER_S).items()}
        while True:
            bounds = log_bounds(admin, places, _ANSWER_S)
            stored = offsets.of(places, _ANSWER_S)
            behind = sum(
                max(0, ends[place] - max(first, stored[place])) for place, (first, _) in bounds.items()
            )
            if not behind or time.monotonic() > deadline:
                return behind
            time.sleep(_POLL_S)
    finally:
        offsets.close()
