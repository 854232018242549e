"""Probes: whether a process is alive *and* answers."""

from __future__ import annotations

import http.client

TIMEOUT_S = 2.0


def http_answers(port: int, path: str) -> bool:
    """Whether a GET gets status 200."""
    return _get(port, path) is not None


def metric_is_at_most(port: int, name: str, limit: float) -> bool:
    """Whether ``/metrics`` shows a metric without labels, and no more than ``limit`` of it."""
    for line in (_get(port, "/metrics") or b"").decode("utf-8", "replace").splitlines():
        found, _, value = line.partition(" ")
        if found == name:
            return float(value) <= limit
    return False


def _get(port: int, path: str) -> bytes | None:
    """Body of an answer with status 200, else None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()  # some servers take a client that hangs up earlier for an error
    except (OSError, http.client.HTTPException):
        return None
    else:
        return body if response.status == http.HTTPStatus.OK else None
    finally:
        connection.close()
