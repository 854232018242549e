"""Connections to ClickHouse that are used again, for a process that asks many small questions: the server.

A question over a new connection costs two more round trips, and the server of it a thread. Whoever asks now and then, as
components and commands do, opens one and closes it: settings say ``is_pooled`` where connections are to be kept.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from parallelm.connections.clickhouse import clickhouse_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections.settings import ClickHouseSettings

_MOST_IDLE: Final = 8
_IDLE_S: Final = 20.0
"""Below the time after which servers and what is between close an idle connection."""


class _Pool:
    """Idle connections, the one used last at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Client]] = []

    def take(self) -> Client | None:
        """One that was used a moment ago; None when there is none."""
        with self._lock:
            oldest = time.monotonic() - _IDLE_S
            stale = [client for since, client in self._idle if since < oldest]
            self._idle = [each for each in self._idle if each[0] >= oldest]
            found = self._idle.pop()[1] if self._idle else None
        for client in stale:
            client.disconnect()
        return found

    def give_back(self, client: Client) -> None:
        """Keep it for the next question, or close it when there are enough."""
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append((time.monotonic(), client))
                return
        client.disconnect()


_POOLS: Final[dict[tuple[ClickHouseSettings, bool], _Pool]] = {}


@contextmanager
def lent_client(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """A client for some questions of one thread. After an error, whatever it is, its connection is closed."""
    pool = _POOLS.setdefault((clickhouse, clickhouse.read_only), _Pool()) if clickhouse.is_pooled else None
    client = (pool.take() if pool else None) or clickhouse_client(clickhouse)
    try:
        yield client
    except BaseException:
        client.disconnect()
        raise
    if pool:
        pool.give_back(client)
    else:
        client.disconnect()
