"""Make the processors forget an MLApp: its definition goes, which ends its alerts and deployments, and then their state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from parallelm.operations.actions import new_action
from parallelm.operations.errors import EraseError
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.group_offsets import GroupOffsets
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import ACTIONS, MLAPPS
from parallelm.schemas.well_known import FORGET_MLAPP, PROCESSORS_GROUP

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.operations.authors import Author

_CLUSTER_S: Final = 15.0
_ANSWER_S: Final = 10.0
_POLL_S: Final = 0.05


def forget_mlapp(settings: Settings, mlapp_id: str, who: Author, timeout_s: float) -> None:
    """Remove the definition, and wait until the processors have forgotten the MLApp.

    First the tombstone alone: what it ends is sent while it is still known what that is. Raises ``EraseError`` when no
    processor handles it in time, and as ``TopicWriter.write``.
    """
    prefix = settings.kafka.topic_prefix
    forget = new_action(FORGET_MLAPP, mlapp_id, who=who)
    action = Codec(make_registry(settings.schema_registry, prefix)).encode(forget)
    deadline = time.monotonic() + timeout_s
    for topic, value in ((MLAPPS, None), (ACTIONS, action)):
        name = topic.full_name(prefix)
        record = OutgoingRecord(name, topic.key(forget), value)
        partition, offset = TopicWriter(settings, timeout_s=_CLUSTER_S).write_one(record)
        _wait_until_handled(settings, (name, partition), offset, deadline)


def _wait_until_handled(settings: Settings, place: tuple[str, int], offset: int, deadline: float) -> None:
    group = f"{settings.kafka.topic_prefix}{PROCESSORS_GROUP}"
    offsets = GroupOffsets(settings.kafka, group)
    try:
        while True:
            try:
                if offsets.of([place], _ANSWER_S)[place] > offset:
                    return
            except ClusterUnavailableError:  # its coordinator has just started or moves
                pass
            if time.monotonic() > deadline:
                raise EraseError(
                    f"group {group!r} has not handled {place[0]}/{place[1]}@{offset} in time: what processors remember is not "
                    "erased, and nothing else is yet; start them with `mcenter processors`, and erase again"
                )
            time.sleep(_POLL_S)
    finally:
        offsets.close()
