"""Tells pages what has arrived, as server-sent events: one question to ClickHouse for all viewers of this process."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from parallelm.server.metrics import VIEWERS
from parallelm.warehouse.queries.changes import Changes, changes_since, latest_position

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from parallelm.connections import Settings

_LOG = logging.getLogger(__name__)
INTERVAL_S: Final = 2.0
_AFTER_AN_ERROR_S: Final = 10.0
_POSITION_HOLDS_S: Final = 1.0
_SILENCE_S: Final = 15.0
"""Proxies end connections on which nothing comes for long."""

_LONGEST_S: Final = 300.0
"""Then the browser connects anew, and is asked anew who it is: a session may have ended, a role be taken away."""


@dataclass(eq=False, slots=True)
class _Viewer:
    mlapps: frozenset[str] | None
    pending: set[tuple[str, str]] = field(default_factory=set)
    until_ms: int = 0
    wakes: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, changes: Changes) -> None:
        wanted = {each for each in changes.found if self.mlapps is None or each[1] in self.mlapps}
        if wanted:
            self.pending |= wanted
            self.until_ms = max(self.until_ms, changes.until_ms)
            self.wakes.set()


class LiveChanges:
    """Asks while somebody looks, and only then. Lives on the event loop of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._viewers: set[_Viewer] = set()
        self._asking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._is_closed = False
        self._known: Changes | None = None
        """What the viewers have been told until now; None: unknown, since ClickHouse does not answer."""
        self._position: tuple[float, int | None] = (0.0, None)

    def position_ms(self) -> int | None:
        """Where the warehouse stands, for a page that begins to read it; up to a second old. None: it does not answer."""
        holds_until, position_ms = self._position
        if time.monotonic() < holds_until:
            return position_ms
        try:
            position_ms, holds_s = latest_position(self._settings), _POSITION_HOLDS_S
        except Exception as error:  # noqa: BLE001 - ClickHouse may be away: the page says so itself
            _warn(error)
            position_ms, holds_s = None, _AFTER_AN_ERROR_S
        self._position = (time.monotonic() + holds_s, position_ms)
        return position_ms

    def close(self) -> None:
        """End all streams: the server stops."""
        self._is_closed = True
        for viewer in self._viewers:
            viewer.wakes.set()

    async def stream(self, mlapps: frozenset[str] | None, since_ms: int | None = None) -> AsyncIterator[str]:
        """Events for one viewer, who sees ``mlapps`` (None: all): the kind of what has arrived, and of which MLApps.

        The first tells of what has arrived after the position ``since_ms``, which the viewer's page shows; None: from now on.
        """
        viewer = _Viewer(mlapps)
        self._viewers.add(viewer)
        VIEWERS.inc()
        try:
            async with self._starting:
                if self._asking is None or self._asking.done():
                    # From before the page is told that it is connected: what arrives from then on is not missed.
                    self._known = await self._now()
                    self._asking = asyncio.create_task(self._ask())
            yield "retry: 3000\n\n"
            is_behind = since_ms is not None and (self._known is None or since_ms < self._known.until_ms)
            if is_behind and (missed := await self._changes(since_ms or 0)):
                viewer.tell(missed)
            ends = time.monotonic() + _LONGEST_S
            while not self._is_closed and time.monotonic() < ends:
                yield await self._next_of(viewer)
        finally:
            self._viewers.discard(viewer)
            VIEWERS.dec()

    def tell(self, changes: Changes) -> None:
        """Tell viewers of what has arrived."""
        for viewer in tuple(self._viewers):
            viewer.tell(changes)

    @staticmethod
    async def _next_of(viewer: _Viewer) -> str:
        try:
            await asyncio.wait_for(viewer.wakes.wait(), _SILENCE_S)
        except TimeoutError:
            return ": still here\n\n"
        pending, viewer.pending = viewer.pending, set()
        viewer.wakes.clear()
        mlapps: dict[str, list[str]] = {}
        for kind, mlapp_id in sorted(pending):
            mlapps.setdefault(kind, []).append(mlapp_id)
        # A browser that was cut off says the id of the last event when it connects anew.
        ids = [
            f"id: {viewer.until_ms}\n" if number == len(mlapps) else ""
            for number in range(1, len(mlapps) + 1)
        ]
        events = zip(ids, mlapps.items(), strict=True)
        return "".join(f"{own_id}event: {kind}\ndata: {json.dumps(of)}\n\n" for own_id, (kind, of) in events)

    async def _now(self) -> Changes | None:
        """Where the warehouse stands, with the latest blocks as known."""
        position_ms = await asyncio.to_thread(self.position_ms)
        return None if position_ms is None else await self._changes(position_ms)

    async def _changes(self, since_ms: int, told: frozenset[str] = frozenset()) -> Changes | None:
        try:
            return await asyncio.to_thread(changes_since, self._settings, since_ms, told)
        except Exception as error:  # noqa: BLE001 - ClickHouse may be away: viewers wait, and it is asked again
            _warn(error)
            return None

    async def _ask(self) -> None:
        while self._viewers and not self._is_closed:
            await asyncio.sleep(INTERVAL_S)
            if self._known is None:
                self._known = await self._now()
                continue
            changes = await self._changes(self._known.until_ms, self._known.blocks)
            if changes is None:
                await asyncio.sleep(_AFTER_AN_ERROR_S)
                continue
            self._known = changes
            self.tell(changes)


def _warn(error: Exception) -> None:
    _LOG.warning("changes are unknown: %s", str(error).partition("Stack trace")[0])
