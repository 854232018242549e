"""What the engine counts for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CLIENTS = Gauge("mcenter_engine_clients", "Clients connected now.", ["protocol"])
TURNED_AWAY = Counter("mcenter_engine_refused_clients_total", "Clients above the limit.", ["protocol"])
REQUESTS = Histogram(
    "mcenter_engine_request_seconds",
    "Time from a statement's arrival to the end of its answer, its data included.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
)
ERRORS = Counter("mcenter_engine_errors_total", "Errors that clients were answered with.", ["code"])
INSERTED_ROWS = Counter("mcenter_engine_inserted_rows_total", "Rows of inserts over the native protocol.")
REPAIRED_LINES = Counter(
    "mcenter_engine_repaired_log_lines_total", "Lines dropped from deduplication logs at start."
)
