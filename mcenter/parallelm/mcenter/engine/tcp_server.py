"""Listener of the native protocol: a thread and a session for each client."""

from __future__ import annotations

import socket
import socketserver
from typing import TYPE_CHECKING, Any

from parallelm.mcenter.engine.clients import BoundedThreads
from parallelm.mcenter.engine.errors import StorageFailedError
from parallelm.mcenter.engine.session import Session

if TYPE_CHECKING:
    from parallelm.mcenter.engine.credentials import Credentials
    from parallelm.mcenter.engine.engine import Engine


class NativeServer(BoundedThreads, socketserver.TCPServer):
    """Accepts clients; one that hangs, floods or dies disturbs no other."""

    protocol = "native"
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, engine: Engine, credentials: Credentials, handshake_timeout_s: float
    ) -> None:
        self._handshake_timeout_s = handshake_timeout_s
        self._engine = engine
        self._credentials = credentials
        super().__init__((host, port), socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Serve one client, on its own thread."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            Session(request, self._engine, self._credentials).serve(
                handshake_timeout_s=self._handshake_timeout_s
            )
        except StorageFailedError as error:
            self._engine.end(error)
