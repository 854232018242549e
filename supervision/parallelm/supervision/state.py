"""What the supervisor reports to the outside: one JSON file, replaced as a whole at every change."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class ProcessState:
    """One process, as its supervisor sees it."""

    name: str
    address: str
    metrics_port: int | None = None
    condition: str = "waiting"
    """waiting (for others, or before a restart), starting, ready, unhealthy (does not answer), working (in the
    background), done, or stopped."""
    pid: int | None = None
    started_at: float | None = None
    """Epoch seconds."""
    restarts: int = 0
    last_error: str = ""

    @property
    def is_up(self) -> bool:
        """Whether the services that need it may start."""
        return self.condition in {"ready", "done"}

    def started(self, pid: int, at: float) -> None:
        """A process was started."""
        self.condition, self.pid, self.started_at = "starting", pid, at

    def ended(self, why: str) -> None:
        """It ended although it was not asked to."""
        self.condition, self.pid, self.started_at, self.last_error = "waiting", None, None, why
        self.restarts += 1

    def stopped(self) -> None:
        """It was asked to stop and did."""
        self.condition, self.pid, self.started_at = "stopped", None, None


@dataclass(slots=True)
class SupervisorState:
    """A supervisor and its processes."""

    pid: int
    started_at: float
    processes: list[ProcessState]
    ready: bool = False
    """All were up once, and the supervisor was not asked to stop."""
    stopping: bool = False
    error: str = ""
    """Why it did not come up."""

    def summary(self) -> list[tuple[str, int | None, int]]:
        """What has changed when this has."""
        return [(process.condition, process.pid, process.restarts) for process in self.processes]


def save_state(state: SupervisorState, path: Path) -> None:
    """Replace the file as a whole."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(dataclasses.asdict(state), indent=1), encoding="utf-8")
    temporary.replace(path)


def load_state(path: Path) -> SupervisorState | None:
    """What the last supervisor wrote there, or None."""
    try:
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    processes = [ProcessState(**entry) for entry in table.pop("processes")]
    return SupervisorState(processes=processes, **table)
