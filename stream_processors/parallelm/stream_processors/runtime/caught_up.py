"""How far a shard must be so that everything that had arrived by a moment is handled, in earlier stages as well.

A record of the MLApp stage may follow from one that waits in the series stage. After a downtime the MLApp's own partitions
are read within a second, while a backlog of statistics is not: time that passed meanwhile would find everything silent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.runtime.log_ends import HandledOffsets, LogEnds, Place

_ASK_INTERVAL_S = 0.5


class CaughtUp:
    """Of one shard."""

    def __init__(
        self, ends: LogEnds, handled: HandledOffsets, *, earlier: Sequence[Place], own: Sequence[Place]
    ) -> None:
        self._ends = ends
        self._handled = handled
        self._earlier = earlier
        self._own = own
        self._awaited: Mapping[Place, int] | None = None
        self._asked_at = 0.0

    async def ends(self) -> Mapping[str, int] | None:
        """Ends of the shard's own partitions by topic, once earlier stages have handled what had arrived at the first call.

        None until then: call it again. Raises errors of the cluster.
        """
        if self._earlier and not await self._earlier_stages_are_done():
            return None
        found = await self._ends.of(self._own)
        self._awaited = None
        return {topic: end for (topic, _), end in found.items()}

    async def _earlier_stages_are_done(self) -> bool:
        now = time.monotonic()
        if self._awaited is None:
            self._awaited = await self._ends.of(self._earlier)
        elif now - self._asked_at < _ASK_INTERVAL_S:
            return False
        self._asked_at = now
        handled = await self._handled.of(self._earlier)
        return all(handled.get(place, 0) >= end for place, end in self._awaited.items())
