"""``Service``: a process that a supervisor runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Service:
    """One process to run."""

    name: str
    command: Sequence[str]
    needs: tuple[str, ...] = ()
    """Names of the services that must be ready first."""
    port: int | None = None
    metrics_port: int | None = None
    folder: Path | None = None
    """Its working directory; None: the supervisor's."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables added to those that the supervisor gives to all."""
    probe: Callable[[], bool] | None = None
    """Asks whether it answers. It is killed and started again when it has not answered for too long."""
    ready_file: Path | None = None
    """The service touches this file once it is ready; None: it is ready when ``probe`` says so."""
    ends: bool = False
    """Runs once and ends, as opposed to running until it is stopped."""
    background: bool = False
    """Nothing waits for it, and it may fail. It ends by itself."""
    ready_timeout_s: float = 60.0
    holds_signals: bool = False
    """It calls ``service_frame.catch_signals``: SIGTERM is held back until then, so that it never meets its default."""

    @property
    def address(self) -> str:
        """Where it listens, or an empty string."""
        return f"127.0.0.1:{self.port}" if self.port else ""
