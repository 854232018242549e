"""What a service says of itself over HTTP: ``/metrics`` for Prometheus, ``/live`` and ``/ready`` for what supervises it.

``/live`` fails when the process hangs, which a restart may mend. ``/ready`` fails before it does its work, and while it gets
on with none: a database that is away is no reason to start a service again, and a reason to be told.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import http.server
    from collections.abc import Callable

    Problem = Callable[[], str]
    """What is wrong at the moment; empty when nothing is. Asked from another thread than the one that works."""

LIVE, READY, METRICS = "/live", "/ready", "/metrics"
_TEXT = "text/plain; charset=utf-8"


class Health:
    """What is known of the health of this process."""

    def __init__(self) -> None:
        self._is_ready = False
        self._hangs: list[Problem] = []
        self._stalls: list[Problem] = []

    def ready(self) -> None:
        """It does its work from now on."""
        self._is_ready = True

    def watch(self, *, hangs: Problem | None = None, stalls: Problem | None = None) -> None:
        """Ask these as well: whether it hangs, and whether it gets on with no work."""
        self._hangs += [hangs] if hangs else []
        self._stalls += [stalls] if stalls else []

    def why_not_live(self) -> str:
        """Empty when it is alive."""
        return "; ".join(filter(None, (problem() for problem in self._hangs)))

    def why_not_ready(self) -> str:
        """Empty when it does its work."""
        if not self._is_ready:
            return self.why_not_live() or "it is still starting"
        return "; ".join(filter(None, (problem() for problem in (*self._hangs, *self._stalls))))


HEALTH = Health()
"""Of this process."""


def serve(host: str, port: int, health: Health = HEALTH) -> http.server.ThreadingHTTPServer:
    """Serve it in a thread of its own; raises ``OSError`` when it cannot listen there."""
    import http.server  # 3 MB, which services without a port do without

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, body = _answer(self.path.partition("?")[0], health)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: it is asked every few seconds."""

    server = http.server.ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _answer(path: str, health: Health) -> tuple[int, str, bytes]:
    if path == METRICS:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return 200, CONTENT_TYPE_LATEST, generate_latest()
    checks = {LIVE: health.why_not_live, READY: health.why_not_ready}
    if path not in checks:
        return 404, _TEXT, f"there are: {METRICS}, {LIVE}, {READY}\n".encode()
    problem = checks[path]()
    return (503, _TEXT, f"{problem}\n".encode()) if problem else (200, _TEXT, b"ok\n")
