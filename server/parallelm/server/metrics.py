"""What the server counts for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "mcenter_server_request_seconds",
    "Time from a request to the begin of its answer.",
    ["method", "route", "status"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
)
VIEWERS = Gauge("mcenter_server_viewers", "Open pages that listen to what arrives.")
PROBLEMS = Counter("mcenter_server_errors_total", "Requests that failed by a mistake of the server.")
