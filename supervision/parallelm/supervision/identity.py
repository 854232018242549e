"""Which process a pid means: pids are used again, so that only pid and start time together name a process."""

from __future__ import annotations

import psutil

_TOLERANCE_S = 1.0
"""Start times are counted in ticks since the boot, whose own time moves when the clock is set."""


def is_alive(pid: int, started_at: float | None = None) -> bool:
    """Whether the process runs, and has started at ``started_at`` (epoch seconds) when that is given.

    One that has ended, and only waits for its parent to notice, does not run.
    """
    try:
        process = psutil.Process(pid)
        if started_at is not None and abs(process.create_time() - started_at) > _TOLERANCE_S:
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
