"""Does the broker answer? Asked in Kafka's own protocol, without a client whose threads would stay in the supervisor."""

from __future__ import annotations

import socket
import struct

from parallelm.supervision.probes import TIMEOUT_S

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
