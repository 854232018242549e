"""A real engine process on free ports, and clients of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from clickhouse_driver import Client

from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.supervision.ports import choose_ports
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse"  # noqa: S105 - of a server that lives for one test


class EngineProcess:
    """``python -m parallelm.mcenter.engine`` on one data folder; may be killed and started again."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._arguments = arguments
        self.data = folder / "data"
        self.log = folder / "engine.log"
        self._ready = folder / "ready"
        ports = choose_ports({"native": None, "http": None}, {})
        self.port, self.http_port = ports["native"], ports["http"]
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: list[Client] = []

    @property
    def pid(self) -> int:
        """Process id of the running engine."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> float:
        """Start and wait until it is ready; seconds that took."""
        self._ready.unlink(missing_ok=True)
        began = time.monotonic()
        self.process = self.spawn()
        wait_for(lambda: self._ready.exists() or self.process.poll() is not None, self.log.read_text)
        assert self._ready.exists(), self.log.read_text()
        return time.monotonic() - began

    def spawn(self, *more: str) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        command = [sys.executable, "-m", "parallelm.mcenter.engine", "--data", str(self.data)]
        command += ["--port", str(self.port), "--http-port", str(self.http_port), *self._arguments, *more]
        environment = os.environ | {
            "MCENTER_ENGINE_PASSWORD": PASSWORD,
            "MCENTER_READY_FILE": str(self._ready),
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(killed_with_us(*command), env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def client(self, **more: Any) -> Client:
        """A client of the native protocol."""
        options = {
            "password": PASSWORD,
            "connect_timeout": DEADLINE_S,
            "send_receive_timeout": DEADLINE_S,
        } | more
        self._clients.append(Client("127.0.0.1", port=self.port, **options))
        return self._clients[-1]

    def http_client(self, **more: Any) -> Any:
        """A client of the HTTP interface."""
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.http_port, **({"username": "default", "password": PASSWORD} | more)
        )

    def close(self) -> None:
        """Hang up all native clients and end the process."""
        try:
            for client in self._clients:
                client.disconnect()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.kill()

    def socket(self) -> socket.socket:
        """A bare connection to the native port."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def resident_bytes(self) -> int:
        """Memory that the process holds now."""
        import psutil

        memory: int = psutil.Process(self.pid).memory_info().rss
        return memory


@contextmanager
def running_engine(folder: Path, *arguments: str) -> Iterator[EngineProcess]:
    """An engine that is gone at the end, whatever happened to it between."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = EngineProcess(folder, *arguments)
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for the tests of a file."""
    with running_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def client(engine: EngineProcess) -> Client:
    """A native client with a database of this test's own as the current one."""
    name = f"t{time.monotonic_ns()}"
    connected = engine.client(compression="lz4")
    connected.execute(f"CREATE DATABASE {name}")
    connected.execute(f"USE {name}")
    return connected


def is_running(watcher: Client, text: str) -> bool:
    """Whether a query with the text in it runs: itself, not the question for its columns that comes before."""
    ((count,),) = watcher.execute(
        f"SELECT count() FROM system.processes WHERE query LIKE '%{text}%' AND query NOT LIKE 'DESCRIBE%'"
        " AND query NOT LIKE '%FROM system.processes%'"
    )
    return bool(count)
