"""Is a process alive *and* answering? Asked in its own protocol, without a client whose threads would stay with us."""

from __future__ import annotations

import http.client
import socket
import struct

TIMEOUT_S = 2.0
_METADATA_REQUEST = struct.pack(">hhihi", 3, 1, 1, -1, 0)
"""Kafka's Metadata request, version 1: correlation id 1, no client id, no topics."""
_METADATA_REPLY = struct.Struct(">iii")
"""Head of the reply: size, correlation id, number of brokers."""


def kafka_answers(port: int) -> bool:
    """Whether the node has a broker that takes requests; its port is open long before that."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
            reply = connection.recv(_METADATA_REPLY.size, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(reply) == _METADATA_REPLY.size and _METADATA_REPLY.unpack(reply)[2] > 0


def http_answers(port: int, path: str) -> bool:
    """Whether a GET gets status 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()  # to hang up before the end is an error to some servers
    except (OSError, http.client.HTTPException):
        return False
    else:
        return response.status == http.HTTPStatus.OK
    finally:
        connection.close()
