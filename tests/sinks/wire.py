"""A TCP relay before a server that can be cut, also within what is sent, and held."""

from __future__ import annotations

import dataclasses
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings


class Wire:
    """Relays connections to ``host`` and ``port`` through a port of its own, or from ``listener``."""

    def __init__(self, host: str, port: int, listener: socket.socket | None = None) -> None:
        self._target = (host, port)
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut = False
        """While true, connections are refused."""
        self.cut_after_bytes: int | None = None
        """The next connection that sends so much more is cut there, once."""
        self.is_holding = threading.Event()
        """Whether something is held."""
        self._hold_from_bytes: int | None = None
        self._go_on = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, from_bytes: int) -> None:
        """Hold what clients send in pieces of this size or larger."""
        self.is_holding.clear()
        self._go_on.clear()
        self._hold_from_bytes = from_bytes

    def release(self) -> None:
        """Send on what is held, and hold nothing more."""
        self._hold_from_bytes = None
        self._go_on.set()

    def sever(self) -> None:
        """Cut all connections, and refuse new ones."""
        self.cut = True
        for pair in list(self._pairs):
            _shut_down(pair)

    def close(self) -> None:
        """End for good."""
        self._listener.close()
        self.sever()
        self.release()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = None if self.cut else socket.create_connection(self._target)
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            self._pairs.append((near, far))
            threading.Thread(target=self._relay, args=(near, far), daemon=True).start()
            if self.cut:  # meanwhile
                self.sever()

    def _relay(self, near: socket.socket, far: socket.socket) -> None:
        answers = threading.Thread(target=self._answer, args=(near, far), daemon=True)
        answers.start()
        self._send(near, far)
        answers.join()
        self._pairs.remove((near, far))
        near.close()
        far.close()

    def _send(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if self._hold_from_bytes is not None and len(data) >= self._hold_from_bytes:
                    self.is_holding.set()
                    self._go_on.wait()
                if self._is_to_be_cut(len(data)):
                    break
                far.sendall(data)
        _shut_down((near, far))

    def _is_to_be_cut(self, size: int) -> bool:
        if self.cut_after_bytes is None:
            return False
        self.cut_after_bytes -= size
        if self.cut_after_bytes > 0:
            return False
        self.cut_after_bytes = None
        return True

    def _answer(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
        _shut_down((near, far))


def _shut_down(pair: tuple[socket.socket, socket.socket]) -> None:
    for each in pair:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def through_wire(settings: Settings) -> Iterator[tuple[Settings, Wire]]:
    """The same settings with a wire before ClickHouse."""
    wire = Wire(settings.clickhouse.host, settings.clickhouse.port)
    clickhouse = dataclasses.replace(settings.clickhouse, host="127.0.0.1", port=wire.port)
    try:
        yield dataclasses.replace(settings, clickhouse=clickhouse), wire
    finally:
        wire.close()
