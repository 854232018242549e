"""The processes below one, and their end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from parallelm.agent.keeping.process_identity import parent_of

_HAS_CHILDREN_FILES = Path(f"/proc/self/task/{os.getpid()}/children").exists()


def children(pid: int) -> list[int]:
    """Pids of a process's children."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except ProcessLookupError:
        return []
    except FileNotFoundError:  # it has ended, or this kernel has no such file
        return [] if _HAS_CHILDREN_FILES else _children_of_all(pid)
    return [int(child) for child in text.split()]


def descendants(pid: int) -> list[int]:
    """Pids of all processes below one."""
    found, waiting = [], [pid]
    while waiting:
        below = children(waiting.pop())
        found += below
        waiting += below
    return found


def signal_all(pids: list[int], signal_number: int) -> None:
    """Send a signal to processes that this process is to reap, so that their pids are still theirs."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal_number)


def _children_of_all(pid: int) -> list[int]:
    entries = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [entry for entry in entries if parent_of(entry) == pid]
