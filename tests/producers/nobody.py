"""An address at which nobody answers."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def port_of_nobody() -> Iterator[socket.socket]:
    """A socket that holds a port of 127.0.0.1 without listening: who connects is refused, and no other can have it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder


def address_of(holder: socket.socket) -> str:
    """``host:port``."""
    host, port = holder.getsockname()
    return f"{host}:{port}"
