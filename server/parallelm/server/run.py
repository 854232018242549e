"""The server as a process: uvicorn on one address, until it is asked to stop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import uvicorn

from parallelm.server.accounts.audit import AuditLog
from parallelm.server.accounts.database import Database
from parallelm.server.app import create_app
from parallelm.server.context import ServerContext
from parallelm.server.errors import AddressError
from parallelm.server.live import LiveChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.connections import Settings
    from parallelm.supervision.service_frame import Stop

DEFAULT_PORT: Final = 3456
"""Where ``mlops.attach()`` looks without arguments."""
_STARTS_S: Final = 0.01
_STOP_S: Final = 5
"""For requests that are being answered when it is asked to stop; streams of events are cut."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is 3456 when that is free, else any. Raises ``AddressError``."""
    tries = [port] if port else [DEFAULT_PORT, 0]
    for wanted in tries:
        try:
            opened = socket.create_server((host, wanted), backlog=512)
        except OSError as error:
            reason = error
            continue
        # asyncio sends answers without delay (TCP_NODELAY) only where it sees that the socket is TCP's: it saves 40 ms a request.
        return socket.socket(opened.family, opened.type, socket.IPPROTO_TCP, fileno=opened.detach())
    raise AddressError(f"cannot listen on {host}:{port}: {reason.strerror}; name another port") from reason


def make_context(settings: Settings, database: Database) -> ServerContext:
    """What requests may use."""
    settings = replace(settings, clickhouse=replace(settings.clickhouse, is_pooled=True))
    return ServerContext(
        settings=settings,
        database=database,
        audit=AuditLog(database, settings),
        live=LiveChanges(settings),
    )


@contextmanager
def opened_context(settings: Settings) -> Iterator[ServerContext]:
    """The same with the SQL database that the settings name; raises ``DatabaseError``."""
    database = Database(settings.server.database_url)
    context = make_context(settings, database)
    try:
        context.audit.wake()
        yield context
    finally:
        context.audit.close()
        database.close()


def run_server(
    context: ServerContext, listener: socket.socket, stop: Stop, on_ready: Callable[[], None]
) -> None:
    """Serve until ``stop`` is set."""
    config = uvicorn.Config(
        create_app(context),
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    asyncio.run(_serve(_Server(config), context, listener, stop, on_ready))


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to ``Stop``."""
        yield


async def _serve(
    server: uvicorn.Server,
    context: ServerContext,
    listener: socket.socket,
    stop: Stop,
    on_ready: Callable[[], None],
) -> None:
    def end() -> None:
        server.should_exit = True
        context.live.close()

    serving = asyncio.create_task(server.serve([listener]))
    asyncio.get_running_loop().add_reader(stop.fileno(), end)
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(_STARTS_S)
    if server.started:
        on_ready()
    await serving
