"""One stack for this folder's tests, driven through the command line as a user does it.

It runs with an empty PATH, with a proxy that leads nowhere and with a JAVA_HOME that does not exist: from its second
start on, a stack needs neither the machine's programs nor a network.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections import Settings, load_settings
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, ensure_kafka
from parallelm.mcenter.local_stack.state import load_state
from parallelm.mcenter.local_stack.status import stack_status
from parallelm.supervision.identity import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.supervision.state import ProcessState

SERVICES = ("--service", "kafka", "--service", "clickhouse", "--service", "registry")


def bare_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MCENTER_")}
    dead = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    return kept | dead | {"PATH": "", "JAVA_HOME": "/nonexistent", "MCENTER_CACHE": str(cache_folder())}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "parallelm.mcenter", *arguments]


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """``mcenter`` on one data folder."""

    folder: Path

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(name, "--data", str(self.folder), *arguments),
            env=bare_environment(),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        found = stack_status(self.folder)
        return dataclasses.asdict(found) | {"healthy": found.healthy}

    def process(self, name: str) -> ProcessState:
        """What the supervisor knows of a process; unlike ``status`` it does not wait for a broker that hangs."""
        state = load_state(self.folder)
        assert state is not None
        return next(process for process in state.processes if process.name == name)

    def pids(self) -> list[int]:
        """The supervisor's and every process's."""
        found = self.status()
        return [found["supervisor_pid"], *(process["pid"] for process in found["processes"])]

    @property
    def settings(self) -> Settings:
        return load_settings({}, file=self.folder / "mcenter.toml")

    @property
    def admin_settings(self) -> Settings:
        return load_settings({}, file=self.folder / "mcenter.toml", role="admin")


def all_gone(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


@contextmanager
def stopped_at_the_end(folder: Path) -> Iterator[None]:
    """No detached stack of the folder outlives these tests, even when they are killed: a process waits for their end."""
    wait_and_stop = (
        "import sys; from pathlib import Path; from parallelm.mcenter.local_stack.stack import stop_detached;"
        " sys.stdin.read(); stop_detached(Path(sys.argv[1]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", wait_and_stop, str(folder)], stdin=subprocess.PIPE, start_new_session=True
    ) as guard:
        yield
        guard.communicate()
    assert guard.returncode == 0


@pytest.fixture(scope="package")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    ensure_kafka(cache_folder())
    folder = tmp_path_factory.mktemp("local_stack") / "data"
    with stopped_at_the_end(folder):
        yield CommandLine(folder)


@pytest.fixture
def running(stack_folder: CommandLine) -> CommandLine:
    """The shared stack, started where an earlier test has stopped or killed it."""
    if stack_folder.status()["supervisor_pid"] is None:
        started = stack_folder.run("up", "--detach", *SERVICES)
        assert started.returncode == 0, started.stderr
    assert stack_folder.status()["problems"] == []
    return stack_folder


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)
