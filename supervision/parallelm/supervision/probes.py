"""Probes: whether a process is alive *and* answers."""

from __future__ import annotations

import http.client

TIMEOUT_S = 2.0


def http_answers(port: int, path: str) -> bool:
    """Whether a GET gets status 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()  # some servers take a client that hangs up earlier for an error
    except (OSError, http.client.HTTPException):
        return False
    else:
        return response.status == http.HTTPStatus.OK
    finally:
        connection.close()
