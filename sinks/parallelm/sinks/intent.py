"""What a sink is about to insert, recorded beforehand in the metadata of an offset commit. Pure functions.

After a crash the next owner of the partition reads it with the committed offset, rebuilds exactly that block and
inserts it under the same token: ClickHouse drops it if it has it already.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from parallelm.sinks.blocks import OffsetRange

ROW_FORMAT = 1
"""Increase it when the same records make different rows: such rows must never be inserted under an old token."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Placement:
    """On which shard the rows of a block are, and the version of the map that says so."""

    shard: str = ""
    """Empty: the one server, where there is no map."""
    map_version: int = 0


ONE_SERVER = Placement()


@dataclass(frozen=True, slots=True)
class Intent:
    """One block that may or may not be in ClickHouse."""

    topic_id: str
    partition: int
    first: int
    last: int
    token: str
    content_hash: str
    row_format: int = ROW_FORMAT
    placement: Placement = ONE_SERVER

    @property
    def offsets(self) -> OffsetRange:
        """The range that it covers."""
        return OffsetRange(self.topic_id, self.partition, self.first, self.last)


@dataclass(frozen=True, slots=True)
class Committed:
    """What the metadata of a committed offset says."""

    topic_id: str
    """Topic that the offset belongs to; empty when the commit was not made by a sink."""
    intent: Intent | None
    """Block that was about to be inserted; None when everything below the offset is stored."""
    placement: Placement = ONE_SERVER
    """Where the last block of the partition is, or is about to be."""


def done_metadata(topic_id: str, placement: Placement) -> str:
    """Metadata of a commit after which no insert is pending."""
    done = {"v": _VERSION, "topic_id": topic_id, "placement": asdict(placement)}
    return json.dumps(done, separators=(",", ":"))


def intent_metadata(intent: Intent) -> str:
    """Metadata of the commit before an insert."""
    return json.dumps(
        {"v": _VERSION, "topic_id": intent.topic_id, "intent": asdict(intent)}, separators=(",", ":")
    )


def read_metadata(metadata: str | None) -> Committed:
    """Read what ``done_metadata`` or ``intent_metadata`` wrote, or no metadata; raises ``ValueError`` for anything else."""
    if not metadata:
        return Committed("", None)
    found: Any = json.loads(metadata)
    if not isinstance(found, dict) or found.get("v") != _VERSION:
        raise ValueError(f"commit metadata {metadata[:200]!r} is not of version {_VERSION}")
    try:
        if "intent" not in found:
            return Committed(found["topic_id"], None, Placement(**found["placement"]))
        placement = Placement(**found["intent"].pop("placement"))
        intent = Intent(**found["intent"], placement=placement)
        return Committed(found["topic_id"], intent, placement)
    except (KeyError, TypeError) as error:
        raise ValueError(f"commit metadata {metadata[:200]!r} cannot be read: {error}") from error
