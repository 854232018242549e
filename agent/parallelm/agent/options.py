"""What an agent is started with."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """Name, place and limits of one agent."""

    name: str
    folder: Path
    """Its data folder."""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    """Where programs on the host are reached; empty: the host's name."""
    cpus: float = 0.0
    """CPUs that pipelines may use; 0: all of the host."""
    memory_bytes: int = 0
    """0: all of the host."""
    heartbeat_interval_s: float = 1.0
    metrics_interval_s: float = 15.0
    """Between reports of the host's load; 0: none."""
    store_max_bytes: int = 256 * MEGABYTE
    """Bound of the file with reports that have not arrived."""
    stops_runs: bool = False
    """At SIGTERM it stops what runs and waits for it, instead of leaving it running."""
    supervisor_pid: int | None = None
    """Runs end with this process; None: they outlive every other."""

    @property
    def hostname(self) -> str:
        """The host's name."""
        return socket.gethostname()

    @property
    def usable_cpus(self) -> float:
        """CPUs that pipelines may use."""
        return self.cpus or float(len(os.sched_getaffinity(0)))

    @property
    def usable_memory_bytes(self) -> int:
        """Memory that pipelines may use."""
        return self.memory_bytes or int(psutil.virtual_memory().total)
