"""Kills a ClickHouse server the moment it has written an insert's token to a deduplication log.

The part is renamed into place right after: now and then the kill comes between the two. Run as a process of its own,
so that nothing keeps it from looking: ``python token_kill.py PID DATA_FOLDER``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

_GIVES_UP_S = 10.0


def main(pid: int, data: Path) -> int:
    """Wait for the next token, kill, and say so by the exit code."""
    logs = list(data.glob("store/*/*/deduplication_logs/deduplication_log_*.txt"))
    sizes = [os.stat(log).st_size for log in logs]  # noqa: PTH116 - as quick as it gets
    ends = time.monotonic() + _GIVES_UP_S
    while time.monotonic() < ends:
        for log, size in zip(logs, sizes, strict=True):
            if os.stat(log).st_size > size:  # noqa: PTH116 - as above
                os.kill(pid, signal.SIGKILL)
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
