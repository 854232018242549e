"""What may be lost: log lines of runs, and the load of the host and of each run. It never holds up the agent or a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.agent.runners import RunKey
    from parallelm.schemas.records import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRun:
    """What telemetry needs of a run."""

    key: RunKey
    origin: Origin
    logs: Path | None
    lines_per_second: int
    pids: tuple[int, ...] = ()
