"""What ``mcenter status`` shows: the supervisor's state file, checked against the processes and the broker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from parallelm.connections import ConfigurationError, load_settings
from parallelm.mcenter.local_stack.folder import FolderLock
from parallelm.mcenter.local_stack.plan import settings_path
from parallelm.mcenter.local_stack.state import load_state
from parallelm.operations.lag import GroupLag, group_lags
from parallelm.schemas.errors import SchemaError
from parallelm.supervision.probes import why_not_ready

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.supervision.state import ProcessState, SupervisorState


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process. Sizes in bytes, times in seconds; None where there is no process."""

    name: str
    condition: str
    address: str
    metrics_address: str
    pid: int | None
    uptime_s: float | None
    memory_bytes: int | None
    restarts: int
    last_error: str


@dataclass(slots=True)
class StackStatus:
    """The whole stack."""

    folder: str
    supervisor_pid: int | None
    processes: list[ProcessStatus] = field(default_factory=list)
    consumer_groups: list[GroupLag] = field(default_factory=list)
    dead_letters: int | None = None
    problems: list[str] = field(default_factory=list)
    """What makes it unhealthy, in words."""

    @property
    def healthy(self) -> bool:
        """Whether it runs and nothing is wrong."""
        return not self.problems


def stack_status(folder: Path) -> StackStatus:
    """State of the stack of ``folder``; what is down is in it and raises nothing."""
    supervisor = FolderLock(folder).holder()
    status = StackStatus(str(folder), supervisor)
    state = load_state(folder)
    if supervisor is None or state is None:
        status.problems.append(f"no stack runs in {folder}; start one with `mcenter up`")
        return status
    if not state.ready:
        status.problems.append("the stack is stopping" if state.stopping else "the stack is still starting")
    for process in state.processes:
        if process.condition == "done":
            continue
        status.processes.append(_process(process))
        if process.condition not in {"ready", "working"}:
            status.problems.append(
                f"{process.name} is {process.condition}. {process.last_error}".rstrip(". ")
            )
        elif status.processes[-1].memory_bytes is None:
            status.problems.append(f"{process.name} has just died")
        elif process.metrics_port and (stall := why_not_ready(process.metrics_port)):
            status.problems.append(f"{process.name}: {stall}")
    status.problems += _missing_data(folder, state)
    if any(process.name == "kafka" and process.condition == "ready" for process in state.processes):
        _add_backlog(status, folder)
    if any(process.name == "clickhouse" and process.condition == "ready" for process in state.processes):
        _add_dead_letters(status, folder)
    return status


def _missing_data(folder: Path, state: SupervisorState) -> Iterator[str]:
    """A running store whose files were removed goes on for a while, and what it takes is lost."""
    up = {process.name for process in state.processes if process.condition == "ready"}
    for name, mark in (("kafka", "meta.properties"), ("clickhouse", "mcenter-engine.lock")):
        if name in up and not (folder / name / mark).exists():
            yield (
                f"the data of {name} were removed from {folder / name} while it runs: what it stores is lost. "
                f"Stop it with `mcenter down --data {folder}`, put a backup back if there is one, and start it again"
            )


def _process(state: ProcessState) -> ProcessStatus:
    return ProcessStatus(
        name=state.name,
        condition=state.condition,
        address=state.address,
        metrics_address=f"127.0.0.1:{state.metrics_port}" if state.metrics_port else "",
        pid=state.pid,
        uptime_s=time.time() - state.started_at if state.started_at else None,
        memory_bytes=_memory(state.pid) if state.pid else None,
        restarts=state.restarts,
        last_error=state.last_error,
    )


def _memory(pid: int) -> int | None:
    """Resident memory, or None when the process is gone."""
    try:
        resident: int = psutil.Process(pid).memory_info().rss
    except psutil.NoSuchProcess:
        return None
    return resident


def _add_backlog(status: StackStatus, folder: Path) -> None:
    try:
        settings = load_settings({}, file=settings_path(folder))
        status.consumer_groups = group_lags(settings)
    except (SchemaError, ConfigurationError) as error:
        status.problems.append(f"lag is unknown: {error}")


def _add_dead_letters(status: StackStatus, folder: Path) -> None:
    """Those that `mcenter dead-letters list` shows; none are known before the tables are made."""
    from clickhouse_driver.errors import Error, ErrorCodes

    from parallelm.warehouse.queries import open_dead_letters

    try:
        status.dead_letters = open_dead_letters(load_settings({}, file=settings_path(folder)))
    except (Error, OSError, EOFError, ConfigurationError) as error:
        if getattr(error, "code", None) in {ErrorCodes.UNKNOWN_TABLE, ErrorCodes.UNKNOWN_DATABASE}:
            return
        status.problems.append(f"dead letters are unknown: {str(error).splitlines()[0]}")
