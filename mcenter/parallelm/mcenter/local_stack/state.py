"""The state file of a data folder's supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.supervision import state

if TYPE_CHECKING:
    from pathlib import Path


def state_path(folder: Path) -> Path:
    """Where the supervisor of the folder writes what it knows."""
    return folder / "run" / "state.json"


def load_state(folder: Path) -> state.SupervisorState | None:
    """What the folder's last supervisor wrote, or None."""
    return state.load_state(state_path(folder))
