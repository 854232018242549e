"""Workers as their supervisors run them, and what may happen to them."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Self

from parallelm.supervision.service_frame import METRICS_PORT
from tests.service_process import ServiceProcess

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from parallelm.connections import Settings

SESSION_TIMEOUT_S = 3.0


class FleetProcess(ServiceProcess):
    """A service that faults happen to, and that its supervisor starts again."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        settings: Settings,
        environ: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, *arguments, settings=settings, environ=environ, through=through)
        self.unexpected_ends: list[str] = []
        """The last lines of processes that ended without being asked to."""

    @property
    def child(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.poll() is None

    def pause(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def supervise(self) -> None:
        """Start it again when it has ended by itself, as its supervisor does."""
        code = self.child.poll()
        if code is not None:
            self.unexpected_ends.append(f"{code}: {self.log().rstrip().splitlines()[-1]}")
            self.start(wait=False)


class FleetWorker(FleetProcess):
    """One ``mcenter processors``; static members have an instance id."""

    def __init__(
        self, settings: Settings, folder: Path, *, instance_id: str = "", metrics_port: int | None = None
    ) -> None:
        static = ("--instance-id", instance_id) if instance_id else ()
        environ = os.environ | ({METRICS_PORT: str(metrics_port)} if metrics_port else {})
        timeout = ("--session-timeout-s", str(SESSION_TIMEOUT_S))
        super().__init__(folder, "processors", *timeout, *static, settings=settings, environ=environ)


class Fleet:
    """Up to three workers: two that are static members of their group, and one that comes and goes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.static = [
            FleetWorker(settings, folder / f"static-{number}", instance_id=f"static-{number}")
            for number in range(2)
        ]
        self.guest = FleetWorker(settings, folder / "guest")
        self.wanted: list[FleetWorker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self.static, self.guest):
            if worker.runs:
                worker.kill()

    def start(self, worker: FleetWorker, *, wait: bool = False) -> None:
        self.wanted.append(worker)
        worker.start(wait=wait)

    def leave(self, worker: FleetWorker, number: signal.Signals = signal.SIGTERM) -> int:
        """End a worker that is not to come back for now; its exit code."""
        self.wanted.remove(worker)
        return worker.end(number)

    def supervise(self) -> None:
        """Start those again that have ended by themselves."""
        for worker in self.wanted:
            worker.supervise()

    def unexpected_ends(self) -> list[str]:
        return [end for worker in (*self.static, self.guest) for end in worker.unexpected_ends]

    def logs(self) -> str:
        """The ends of their logs."""
        return "\n".join(
            f"--- {worker.folder.name}\n{worker.log()[-3000:]}"
            for worker in (*self.static, self.guest)
            if worker.process is not None
        )
