"""What the files of a run say of how it goes, what is asked of it, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["succeeded", "failed", "stopped", "timed_out", "lease_lost", "lost"]


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
