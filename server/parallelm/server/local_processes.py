"""Services of the local stack that this server is one of: what their supervisor writes beside the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.connections import ConfigurationError
from parallelm.connections.search import settings_file
from parallelm.supervision.state import load_state

if TYPE_CHECKING:
    from parallelm.supervision.state import ProcessState

_RAN: Final = "done"
"""Steps of a start that are over."""


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """One service."""

    name: str
    state: str
    pid: int | None
    since_ms: int | None
    """When this process of it was started."""
    restarts: int
    address: str
    last_error: str


def local_processes() -> list[LocalProcess]:
    """In the order in which they start; none where the settings are not those of a local stack that runs."""
    try:
        file = settings_file(os.environ)
    except ConfigurationError:
        return []
    state = load_state(file.parent / "run" / "state.json") if file else None
    if state is None or not _is_alive(state.pid):
        return []
    return [_shown(each) for each in state.processes if each.condition != _RAN]


def _shown(process: ProcessState) -> LocalProcess:
    died = process.pid is not None and not _is_alive(process.pid)
    return LocalProcess(
        name=process.name,
        state="died" if died else process.condition,
        pid=process.pid,
        since_ms=round(process.started_at * 1000) if process.started_at else None,
        restarts=process.restarts,
        address=process.address,
        last_error=process.last_error,
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
