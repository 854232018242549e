"""A host as the fault test sees it: an agent with a disk, a network and a clock of its own, and all that it has started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.keeping.orphans import RUN_FOLDER_VARIABLE
from parallelm.agent.keeping.process_identity import ProcessIdentity
from tests.sinks.faults.small_disk import small_disk
from tests.stream_processors.faults.fleet import FleetProcess
from tests.waiting import wait_for

from .network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings

_DISK = "64m"
_SKEWED = Path(__file__).parent / "skewed"


class Host(FleetProcess):
    """One ``mcenter agent``; its runs end with the test."""

    def __init__(self, settings: Settings, folder: Path, name: str) -> None:
        self.name = name
        self.network = Network(int(settings.kafka.bootstrap_servers.rpartition(":")[2]))
        folder.mkdir()
        self.disk = folder / "disk"
        self._open = ExitStack()
        self.has_disk = self._open.enter_context(small_disk(self.disk, _DISK))
        self.data = self.disk / "data"
        self._clock = folder / "clock"
        self._clock.write_bytes(struct.pack("q", 0))
        skewed = {"PYTHONPATH": str(_SKEWED), "SKEWED_CLOCK": str(self._clock)}
        environ = {**os.environ, **skewed, "MCENTER_AGENT_METRICS_INTERVAL_S": "5"}
        arguments = ("agent", "--name", name, "--data", str(self.data), "--runs-end-with-parent")
        super().__init__(folder, *arguments, settings=settings, environ=environ, through=self.network.enter)

    def set_clock_off(self, by_s: int) -> None:
        """From now on, also of what runs."""
        with self._clock.open("r+b") as file:
            file.write(struct.pack("q", by_s))

    def lose(self) -> None:
        """The agent, its keepers and all programs are gone at once, as by a power cut."""
        if self.runs:
            self.pause()  # it starts nothing while the others are killed
        stopped: set[ProcessIdentity] = set()
        while new := set(self.processes()) - stopped:
            for process in new:
                process.send(signal.SIGSTOP)
            stopped |= new
        for process in stopped:
            process.send(signal.SIGKILL)
        if self.runs:
            self.kill()
        wait_for(lambda: not list(self.processes()), lambda: list(self.processes()))

    def wipe(self) -> None:
        """Its disk is another one, an empty one."""
        shutil.rmtree(self.data, ignore_errors=True)

    def processes(self) -> Iterator[ProcessIdentity]:
        """Everything that runs here, but for the agent itself."""
        data = os.fsencode(self.data)
        for pid, environ, command in _all():
            is_program = any(each.startswith(_VARIABLE + data) for each in environ.split(b"\0"))
            is_keeper = (
                any(each.startswith(data) for each in command.split(b"\0")) and b"\0agent\0" not in command
            )
            if is_program or is_keeper:
                with contextlib.suppress(ProcessLookupError):
                    process = ProcessIdentity.of(pid)
                    if process.is_alive():
                        yield process

    def attempts(self) -> set[str]:
        """``RUN.ATTEMPT`` of every program that runs here."""
        data = os.fsencode(self.data)
        return {
            os.fsdecode(each).rpartition("/")[2]
            for _, environ, _ in _all()
            for each in environ.split(b"\0")
            if each.startswith(_VARIABLE + data)
        }

    def close(self) -> None:
        """End it all."""
        self.lose()
        self._open.close()
        self.network.close()


_VARIABLE = f"{RUN_FOLDER_VARIABLE}=".encode()


def _all() -> Iterator[tuple[int, bytes, bytes]]:
    """Pid, environment and command of every process; those that have ended have none."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
