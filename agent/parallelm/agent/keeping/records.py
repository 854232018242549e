"""What the files of a run say: how it is to be run, how it goes, and how it ended."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Outcome = Literal["succeeded", "failed", "stopped", "timed_out", "lease_lost", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """One program of a run."""

    step_id: str
    command: Sequence[str]
    folder: str
    """Working folder; it exists."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Above the run's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPlan:
    """When the keeper starts the steps again: times in seconds, ``limit`` 0: without end."""

    when: Literal["always", "on_failure", "never"]
    delay_s: float
    max_delay_s: float
    limit: int
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a keeper runs the steps of a run, one after the other. Holds no secrets: it is a file."""

    steps: Sequence[StepPlan]
    environ: Mapping[str, str]
    """The whole environment of every step."""
    restart: RestartPlan | None = None
    """None: the run ends with its last step, or with the first that fails."""
    time_limit_s: float = 0
    """Of the run, not counting times in which the host is suspended; 0: none."""
    stop_grace_s: float = 30
    """From SIGTERM to SIGKILL."""
    lease_grace_s: float = 0
    """Within the lease: SIGTERM is sent this long before its end, SIGKILL a tenth of that before."""
    cpus: float = 0
    """0: no limit."""
    memory_bytes: int = 0
    """0: no limit."""
    log_bytes: int = 100 << 20
    log_keep_s: float = 7 * 86_400

    @classmethod
    def of(cls, table: dict[str, Any]) -> Plan:
        """The plan that ``dataclasses.asdict`` made this of."""
        restart = table["restart"]
        return cls(
            **table
            | {
                "steps": tuple(StepPlan(**step) for step in table["steps"]),
                "restart": None if restart is None else RestartPlan(**restart),
            }
        )

    def table(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)


@dataclass(slots=True, kw_only=True)
class Progress:
    """How a run stands, by its keeper."""

    step_id: str = ""
    pid: int = 0
    """Of the step's program; 0 while none runs."""
    start_ticks: int = 0
    """Start time of that process: only both together name it."""
    starts: int = 0
    """How often the first step was started, with restarts."""
    started_at_ms: int = 0
    """When the program of the step started."""
    last_exit_code: int | None = None
    """Of the program before, minus the signal that ended it."""
    restart_at_ms: int = 0
    """When it is started again; 0 while a program runs."""
    limits: dict[str, str] = field(default_factory=dict)
    """By what ``memory`` and ``cpus`` are limited: ``cgroup``, ``rlimit``, ``affinity`` or ``none``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended."""

    outcome: Outcome
    exit_code: int = 0
    """What the program returned, minus the signal that ended it."""
    step_id: str = ""
    """Step at which it ended."""
    starts: int = 0
    message: str = ""
    """Who or what ended it, in words."""
    ended_at_ms: int = 0


@dataclass(slots=True, kw_only=True)
class Request:
    """What the agent asks of a keeper. Counters, so that what was asked and done is not done again."""

    stop: str | None = None
    """Why it is to be stopped."""
    outcome: Outcome = "stopped"
    """What its end is called when it is stopped."""
    grace_s: float | None = None
    """Instead of the plan's."""
    restarts: int = 0
    signals: int = 0
    signal: str = ""
    """Name of the signal that the last count of ``signals`` asked for."""
