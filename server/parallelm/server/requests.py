"""What surrounds every request: an id that the answer, the log and an error page share, and the security headers."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import MutableHeaders

from parallelm.server.access.limits import rate_headers
from parallelm.server.metrics import REQUESTS

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from parallelm.connections import ServerSettings

_LOG = logging.getLogger(__name__)
REQUEST_ID: Final = "X-Request-ID"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer that does not set its own."""
_TLS_ONLY: Final = "max-age=31536000"


def prefix_of(settings: ServerSettings) -> str:
    """Path below which a proxy shows the server: with a slash before it and none after it, or empty."""
    path = settings.path_prefix.strip("/")
    return f"/{path}" if path else ""


class BelowPrefix:
    """ASGI middleware of a server that a proxy shows below a path, whether or not the proxy takes the path away."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app({**scope, "root_path": self._prefix}, receive, send)


class HeadAsGet:
    """ASGI middleware: whatever answers GET answers HEAD, with the same headers and without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        is_over = False

        async def send_headers(message: Message) -> None:
            nonlocal is_over
            if message["type"] == "http.response.start":
                await send(message)
            elif not is_over:
                # A stream of events is over here as well: the server tells it that its client is gone.
                is_over = True
                await send({"type": "http.response.body", "body": b""})

        # The web server goes by its own scope when it leaves out the body.
        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, send_headers)
        finally:
            if "route" in asked:
                scope["route"] = asked["route"]


class RequestFrame:
    """ASGI middleware; plain, so that streams of events pass through it unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        start, status, begun = time.perf_counter(), 500, 0.0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], time.perf_counter()
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", _TLS_ONLY)
                for name, value in rate_headers(scope).items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            took_s = (begun or time.perf_counter()) - start
            # Of the path its form only: an id a line would be a series an id.
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"], route, status).observe(took_s)
            took_ms = took_s * 1000
            _LOG.info("%s %s %d %.0f ms %s", scope["method"], scope["path"], status, took_ms, request_id)


def request_id_of(connection: HTTPConnection) -> str:
    """The id of a request."""
    found: Any = connection.scope["state"]["request_id"]
    return str(found)


def base_url(connection: HTTPConnection) -> str:
    """Address of the server as who asks knows it, without a slash at its end."""
    from parallelm.server.context import context_of

    public_url = context_of(connection).settings.server.public_url
    return (public_url or str(connection.base_url)).rstrip("/")
