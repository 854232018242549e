"""Probes: whether a process is alive *and* answers."""

from __future__ import annotations

import http.client

TIMEOUT_S = 2.0


def http_answers(port: int, path: str) -> bool:
    """Whether a GET gets status 200."""
    return _get(port, path) is not None


def why_not_ready(port: int) -> str:
    """What a service says at ``/ready``; empty when it is ready or does not answer."""
    status, body = _answer(port, "/ready")
    return body.decode("utf-8", "replace").strip() if status == http.HTTPStatus.SERVICE_UNAVAILABLE else ""


def metric_is_at_most(port: int, name: str, limit: float) -> bool:
    """Whether ``/metrics`` shows a metric without labels, and no more than ``limit`` of it."""
    for line in (_get(port, "/metrics") or b"").decode("utf-8", "replace").splitlines():
        found, _, value = line.partition(" ")
        if found == name:
            return float(value) <= limit
    return False


def _get(port: int, path: str) -> bytes | None:
    """Body of an answer with status 200, else None."""
    status, body = _answer(port, path)
    return body if status == http.HTTPStatus.OK else None


def _answer(port: int, path: str) -> tuple[int, bytes]:
    """Status and body; 0 when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        # Some servers take a client that hangs up earlier for an error.
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
