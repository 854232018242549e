"""An address at which no server answers."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def unused_port() -> Iterator[socket.socket]:
    """A socket bound to a port of 127.0.0.1 without listening: connections are refused, and no other process gets the port."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder


def address_of(holder: socket.socket) -> str:
    """``host:port``."""
    host, port = holder.getsockname()
    return f"{host}:{port}"
