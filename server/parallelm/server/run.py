"""The server as a process: uvicorn on one address, until it is asked to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import uvicorn

from parallelm.server.access.limits import RequestLimit
from parallelm.server.accounts.audit import AuditLog
from parallelm.server.accounts.database import Database
from parallelm.server.accounts.oidc import IdentityProvider
from parallelm.server.app import create_app
from parallelm.server.context import ServerContext
from parallelm.server.errors import AddressError, TransportError
from parallelm.server.housekeeping import keeping_house
from parallelm.server.live import LiveChanges
from parallelm.server.requests import prefix_of
from parallelm.supervision.ports import PortClaims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.connections import ServerSettings, Settings
    from parallelm.supervision.service_frame import Stop

DEFAULT_PORT: Final = 3456
"""Where ``mlops.attach()`` looks without arguments."""
_STARTS_S: Final = 0.01
_STOP_S: Final = 5
"""For requests that are being answered when it is asked to stop; streams of events are cut."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is 3456 when that is free, else any. Raises ``AddressError``."""
    with PortClaims() as claims:
        # A local stack that starts may have chosen 3456, and listen on it only seconds later.
        tries = [port] if port else [DEFAULT_PORT, 0] if claims.claim(DEFAULT_PORT) else [0]
        for wanted in tries:
            try:
                opened = socket.create_server((host, wanted), backlog=512)
            except OSError as error:
                reason = error
                continue
            # asyncio sends answers without delay (TCP_NODELAY) only where it sees that the socket is TCP's: it saves 40 ms a request.
            return socket.socket(opened.family, opened.type, socket.IPPROTO_TCP, fileno=opened.detach())
    raise AddressError(f"cannot listen on {host}:{port}: {reason.strerror}; name another port") from reason


def check_transport(settings: ServerSettings) -> None:
    """Raise ``TransportError`` where passwords would go over a network without TLS."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise TransportError("[server] tls_certificate and tls_key belong together; name both files, or none")
    if settings.tls_certificate or settings.trusted_proxies or is_loopback(settings.host):
        return
    raise TransportError(
        f"the server would listen on {settings.host} without TLS, so that passwords could be read on the way; name "
        "[server] tls_certificate and tls_key, or listen on 127.0.0.1, or, behind a proxy that does TLS, name its address in "
        "[server] trusted_proxies"
    )


def is_loopback(host: str) -> bool:
    """Whether only programs on this host reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_of(settings: ServerSettings, listener: socket.socket) -> str:
    """Address of the server for people, without a slash at its end."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls_certificate else 'http'}://{shown}:{port}{prefix_of(settings)}"


def attach_call(url: str) -> str:
    """What a notebook calls to reach a server at this address; empty where ``mlops.attach`` looks by itself."""
    if url in {f"http://{host}:{DEFAULT_PORT}" for host in ("127.0.0.1", "localhost")}:
        return ""
    return f'mlops.attach("MLAPP", "{url}", user="NAME", password="PASSWORD")'


def make_context(settings: Settings, database: Database, admin: Settings | None = None) -> ServerContext:
    """What requests may use; ``admin`` are settings that may change tables."""
    settings = replace(settings, clickhouse=replace(settings.clickhouse, is_pooled=True))
    return ServerContext(
        settings=settings,
        database=database,
        audit=AuditLog(database, settings),
        requests=RequestLimit(database, settings.server.api_requests_per_minute),
        reports=RequestLimit(database, settings.server.reports_per_minute, of="reports of "),
        identity_provider=IdentityProvider(settings.server),
        live=LiveChanges(settings),
        admin_settings=admin or settings,
    )


@contextmanager
def opened_context(settings: Settings, admin: Settings | None = None) -> Iterator[ServerContext]:
    """The same with the SQL database that the settings name; raises ``DatabaseError``."""
    database = Database(settings.server.database_url)
    context = make_context(settings, database, admin)
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
    own = context.settings.server
    try:
        config = uvicorn.Config(
            create_app(context),
            ssl_certfile=own.tls_certificate or None,
            ssl_keyfile=own.tls_key or None,
            ssl_keyfile_password=own.tls_key_password or None,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise TransportError(f"[server] tls_certificate and tls_key cannot be used: {error}") from error
    with keeping_house(context.settings):
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
