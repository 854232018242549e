"""A thread for each client, and a bound on their number."""

from __future__ import annotations

import logging
import socketserver
import sys
import threading
from typing import TYPE_CHECKING, Any

from parallelm.mcenter.engine import metrics

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

MAX_CLIENTS = 256
"""Of each protocol; a client costs a thread and some file descriptors of the engine."""


class BoundedThreads(socketserver.ThreadingMixIn):
    """Mix-in of a socket server: serves up to ``MAX_CLIENTS`` at once and hangs up on more."""

    protocol: str
    tls: ssl.SSLContext | None = None
    """Context with the server's certificate; None: without TLS."""
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a client's thread, or hang up."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        metrics.TURNED_AWAY.labels(self.protocol).inc()
        log.warning("more than %d clients: %s is turned away", MAX_CLIENTS, client_address)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Log what ended a client's thread; a client that hung up in the middle is not logged."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("serving %s failed", client_address, exc_info=error)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a client to its end."""
        if self.tls is not None:
            # The handshake comes with the first byte that is read, within the time-out for that.
            request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        try:
            with metrics.CLIENTS.labels(self.protocol).track_inprogress():
                super().process_request_thread(request, client_address)
        finally:
            self._free.release()
