"""Loopback ports: free ones that stay the same over restarts, and which process listens on one in use."""

from __future__ import annotations

import random
import socket
import sys
from typing import TYPE_CHECKING, Self

import psutil

from parallelm.supervision.errors import PortUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

_CANDIDATES = range(20_000, 32_000)
"""Below the range from which Linux takes ports of outgoing connections, which could otherwise occupy ours."""


def is_free(port: int) -> bool:
    """Whether a server can listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """Who listens on the port: ``pid 123 (java)``, or what can be said without rights to see it."""
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            if connection.pid is None:
                break
            return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "a process of another user, or claimed by another stack that starts"


class PortClaims:
    """Ports that no other process with claims is given, from their choice until the ``with`` block ends.

    A service listens seconds after its port was chosen, and two stacks that start at once would choose the same. A claim
    is an abstract Unix socket: like ports, its name belongs to the network namespace, and the kernel frees it when its
    process is gone. Elsewhere than on Linux a claim says no more than that the port is free.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for held in self._held.values():
            if held is not None:
                held.close()
        self._held.clear()

    def claim(self, port: int) -> bool:
        """Whether the port is free and ours now."""
        if port in self._held:
            return True
        if not is_free(port):
            return False
        mark = None
        if sys.platform == "linux":
            mark = socket.socket(socket.AF_UNIX)
            try:
                mark.bind(f"\0mcenter-port-{port}")
            except OSError:
                mark.close()
                return False
        self._held[port] = mark
        return True


def choose_ports(
    wanted: dict[str, int | None], earlier: dict[str, int], is_ours: Callable[[int], bool] = is_free
) -> dict[str, int]:
    """A port for each name: the wanted one, else the one it had earlier if that is free, else any free one.

    ``is_ours`` may be the ``claim`` of ``PortClaims``. Raises ``PortUnavailableError`` when a wanted one is in use.
    """
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if port is None:
            continue
        for other, taken in chosen.items():
            if taken == port:
                raise PortUnavailableError(f"port {port} is named for both {other} and {name}")
        if not is_ours(port):
            raise PortUnavailableError(
                f"port {port}, wanted for {name}, is in use by {owner(port)}; name another"
            )
        chosen[name] = port
    for name in wanted:
        if name not in chosen:
            before = earlier.get(name)
            usable = before is not None and before not in chosen.values() and is_ours(before)
            chosen[name] = (
                before if before is not None and usable else _any_free(set(chosen.values()), is_ours)
            )
    return chosen


def _any_free(taken: set[int], is_ours: Callable[[int], bool]) -> int:
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if port not in taken and is_ours(port):
            return port
    raise PortUnavailableError(f"no port between {_CANDIDATES.start} and {_CANDIDATES.stop} is free")
