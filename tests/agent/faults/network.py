"""A host's own network, in which the broker is reached by a wire that can be cut. It needs root."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading

from tests.sinks.wire import Wire

_NEW_NETWORK = 0x4000_0000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace with nothing in it but its loopback; what listens there at ``port`` is the broker's ``port``."""

    def __init__(self, port: int) -> None:
        self.wire: Wire | None = None
        """None where no network can be made: processes are in that of the test."""
        self._namespace = -1
        self._listener: socket.socket | None = None
        maker = threading.Thread(target=self._make, args=(port,))
        maker.start()
        maker.join()
        if self._listener is not None:
            self.wire = Wire("127.0.0.1", port, self._listener)  # whose threads are in the test's own network

    @property
    def enter(self) -> tuple[str, ...]:
        """Before a command that is to run in it."""
        return ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self._namespace}") if self.wire else ()

    def close(self) -> None:
        """End for good."""
        if self.wire is not None:
            self.wire.close()
            os.close(self._namespace)

    def _make(self, port: int) -> None:
        """In a thread of its own, which alone moves into the new network, and ends there."""
        if _libc.unshare(_NEW_NETWORK) != 0:
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sh14x", b"lo", 0)
            flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _GET_FLAGS, request))[1]
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))
        self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
