"""Receives the notifications of the demo: what a chat or a pager would get, over HTTP on this machine."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT_VARIABLE = "FLIGHT_DELAYS_RECEIVER_PORT"
"""Variable that ``examples/flight_delays/notifications.yaml`` names."""


class _Server(ThreadingHTTPServer):
    """Remembers the titles of what was posted; a message that is sent again has the id of the first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.titles: dict[str, str] = {}


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.titles[str(message["notification_id"])] = str(message["title"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: the terminal shows a progress bar."""


class Receiver:
    """A receiver at ``port``."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.port = server.server_port

    @property
    def titles(self) -> list[str]:
        """Titles of the notifications that arrived, in that order."""
        return list(self._server.titles.values())


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens within the block."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Receiver(server)
        finally:
            server.shutdown()
            thread.join()
