"""Whether the chunks of a shard follow each other: one that is lost between fetcher and shard is lost for good otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.stream_processors.runtime.chunks import Chunk


class Continuity:
    """What has come of each topic."""

    def __init__(self) -> None:
        self._received: dict[str, tuple[int, int]] = {}
        """Assignment and next offset of the last chunk."""

    def missing_from(self, chunk: Chunk, handled: int) -> int | None:
        """The offset from which records before the chunk are missing; None when it follows, and is what came last then.

        ``handled`` is where reading must have begun under a new assignment.
        """
        assignment, reached = self._received.get(chunk.topic, (-1, 0))
        if assignment != chunk.assignment:
            reached = handled
        if chunk.first_offset is not None and chunk.first_offset > reached:
            return reached
        self._received[chunk.topic] = (chunk.assignment, chunk.next_offset)
        return None
