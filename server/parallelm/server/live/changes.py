"""Tells pages what has arrived, as server-sent events: one question to ClickHouse for all viewers of this process."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from parallelm.server.metrics import VIEWERS
from parallelm.warehouse.queries.changes import changes_since, latest_arrival

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from parallelm.connections import Settings

_LOG = logging.getLogger(__name__)
INTERVAL_S: Final = 2.0
_AFTER_AN_ERROR_S: Final = 10.0
_SILENCE_S: Final = 15.0
"""Proxies end connections on which nothing comes for long."""

_LONGEST_S: Final = 300.0
"""Then the browser connects anew, and is asked anew who it is: a session may have ended, a role be taken away."""


@dataclass(eq=False, slots=True)
class _Viewer:
    mlapps: frozenset[str] | None
    pending: set[tuple[str, str]] = field(default_factory=set)
    wakes: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, found: frozenset[tuple[str, str]]) -> None:
        wanted = {each for each in found if self.mlapps is None or each[1] in self.mlapps}
        if wanted:
            self.pending |= wanted
            self.wakes.set()


class LiveChanges:
    """Asks while somebody looks, and only then. Lives on the event loop of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._viewers: set[_Viewer] = set()
        self._asking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._is_closed = False

    def close(self) -> None:
        """End all streams: the server stops."""
        self._is_closed = True
        for viewer in self._viewers:
            viewer.wakes.set()

    async def stream(self, mlapps: frozenset[str] | None) -> AsyncIterator[str]:
        """Events for one viewer, who sees ``mlapps`` (None: all): the kind of what has arrived, and of which MLApps."""
        viewer = _Viewer(mlapps)
        self._viewers.add(viewer)
        VIEWERS.inc()
        async with self._starting:
            if self._asking is None or self._asking.done():
                # From before the page is told that it is connected: what arrives from then on is not missed.
                since = await self._latest()
                self._asking = asyncio.create_task(self._ask(since))
        try:
            yield "retry: 3000\n\n"
            ends = time.monotonic() + _LONGEST_S
            while not self._is_closed and time.monotonic() < ends:
                yield await self._next_of(viewer)
        finally:
            self._viewers.discard(viewer)
            VIEWERS.dec()

    def tell(self, found: frozenset[tuple[str, str]]) -> None:
        """Tell viewers of what has arrived, ``(kind, mlapp_id)`` each."""
        for viewer in tuple(self._viewers):
            viewer.tell(found)

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
        return "".join(f"event: {kind}\ndata: {json.dumps(ids)}\n\n" for kind, ids in mlapps.items())

    async def _latest(self) -> datetime | None:
        try:
            return await asyncio.to_thread(latest_arrival, self._settings)
        except Exception as error:  # noqa: BLE001 - as below
            _warn(error)
            return None

    async def _ask(self, since: datetime | None) -> None:
        while self._viewers and not self._is_closed:
            await asyncio.sleep(INTERVAL_S)
            if since is None:
                since = await self._latest()
                continue
            try:
                changes = await asyncio.to_thread(changes_since, self._settings, since)
            except Exception as error:  # noqa: BLE001 - ClickHouse may be away: viewers wait, and it is asked again
                _warn(error)
                await asyncio.sleep(_AFTER_AN_ERROR_S)
                continue
            since = changes.until
            self.tell(changes.found)


def _warn(error: Exception) -> None:
    _LOG.warning("changes are unknown: %s", str(error).partition("Stack trace")[0])
