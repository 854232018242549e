"""One service under supervision: its current process, its health, and when it starts again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.supervision.process import ChildProcess
from parallelm.supervision.state import ProcessState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.supervision.service import Service

PROBE_EVERY_S = 2.0
UNHEALTHY_AFTER = 2
"""Failed probes in a row."""
HANGS_AFTER_S = 30.0
"""A process that has not answered for so long is killed and started again."""
FIRST_BACK_OFF_S, MAX_BACK_OFF_S = 0.25, 15.0
STEADY_S = 30.0
"""A process that has run for so long is restarted with the first back-off again."""


class Supervised:
    """State and deadlines of one service; all times are ``time.monotonic()``."""

    def __init__(self, service: Service, environ: Mapping[str, str], folder: Path, log: Path) -> None:
        self.service = service
        self.state = ProcessState(service.name, service.address, service.metrics_port)
        self.child: ChildProcess | None = None
        self.was_ready = False
        """It has been ready once: from then on it is started again when it ends."""
        self.log = log
        self._environ = dict(environ) | dict(service.environ)
        self._folder = folder
        self._start_at = 0.0
        self._back_off_s = FIRST_BACK_OFF_S
        self._started = 0.0
        self._answered = 0.0
        self._next_probe = 0.0
        self._failed_probes = 0

    @property
    def runs(self) -> bool:
        """Whether there is a process, or one whose end was not handled yet."""
        return self.child is not None and not self.child.closed

    def may_start(self, now: float, up: set[str]) -> bool:
        """Whether to start it now; ``up``: names of the services that are ready."""
        if self.runs or self.state.condition == "done" or now < self._start_at:
            return False
        return self.was_ready or up.issuperset(self.service.needs)

    def start(self, now: float) -> ChildProcess:
        """Start the process."""
        if self.service.ready_file:
            self.service.ready_file.unlink(missing_ok=True)
        self.child = ChildProcess(
            self.service.command,
            self._environ,
            self.service.folder or self._folder,
            self.log,
            holds_signals=self.service.holds_signals,
        )
        self._started = self._answered = now
        self._failed_probes = 0
        self.state.started(self.child.pid, self.child.started_at)
        if self.service.background:
            self.state.condition = "working"
        return self.child

    def becomes_ready(self) -> bool:
        """Whether a starting process has become ready."""
        file = self.service.ready_file
        if self.state.condition != "starting" or self.service.ends:
            return False
        if not (file.exists() if file else self.service.probe and self.service.probe()):
            return False
        self.state.condition, self.was_ready = "ready", True
        return True

    def is_late(self, now: float) -> bool:
        """Whether a starting process has taken longer than it may."""
        return self.state.condition == "starting" and now > self._started + self.service.ready_timeout_s

    def hangs(self, now: float) -> bool:
        """Probe a running process when it is time to; whether it has not answered for too long."""
        if self.service.probe is None or now < self._next_probe:
            return False
        self._next_probe = now + PROBE_EVERY_S
        if self.service.probe():
            self._failed_probes, self._answered = 0, now
            self.state.condition = "ready"
            return False
        self._failed_probes += 1
        if self._failed_probes >= UNHEALTHY_AFTER:
            self.state.condition = "unhealthy"
        return now > self._answered + HANGS_AFTER_S

    def schedule_restart(self, why: str, now: float) -> float:
        """Record its end and return the seconds until it starts again."""
        if now - self._started > STEADY_S:
            self._back_off_s = FIRST_BACK_OFF_S
        wait_s, self._back_off_s = self._back_off_s, min(self._back_off_s * 2, MAX_BACK_OFF_S)
        self._start_at = now + wait_s
        self.state.ended(why)
        return wait_s

    def last_lines(self) -> str:
        """Its last log lines, indented."""
        lines = self.child.last_lines if self.child else []
        return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
