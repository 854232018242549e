"""The processes below one, and their end."""

from __future__ import annotations

import contextlib
import os

from parallelm.agent.keeping.process_identity import parent_of, read_proc

_HAS_CHILDREN_FILES = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110 - paths take memory


def children(pid: int) -> list[int]:
    """Pids of a process's children."""
    try:
        text = read_proc(f"/proc/{pid}/task/{pid}/children")
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
    entries = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - as above
    return [entry for entry in entries if parent_of(entry) == pid]
