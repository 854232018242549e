"""What every service started by a supervisor does: tell when it is ready, and show its metrics."""

from __future__ import annotations

import os
from pathlib import Path


def announce_ready() -> None:
    """Touch the file that ``MCENTER_READY_FILE`` names, if it does: from now on the service does its work."""
    ready_file = os.environ.get("MCENTER_READY_FILE")
    if ready_file:
        Path(ready_file).touch()


def serve_metrics() -> None:
    """Serve Prometheus metrics on 127.0.0.1 at ``MCENTER_METRICS_PORT``, if it is set."""
    port = os.environ.get("MCENTER_METRICS_PORT")
    if port:
        from prometheus_client import start_http_server

        start_http_server(int(port), addr="127.0.0.1")
