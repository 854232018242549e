"""Processes that a killed keeper has left: found by a variable that all programs of a run inherit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from parallelm.agent.keeping.process_identity import ProcessIdentity

RUN_FOLDER_VARIABLE = "MCENTER_RUN_FOLDER"
"""Variable of every program of a run."""
_POLL_S = 0.01


def orphans(run: Path) -> list[ProcessIdentity]:
    """Processes with the run's folder in their environment."""
    wanted = f"{RUN_FOLDER_VARIABLE}={run}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        # A process may end meanwhile, or belong to somebody else.
        with contextlib.suppress(OSError, ProcessLookupError):
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                process = ProcessIdentity.of(int(entry.name))
                if process.is_alive():
                    found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def end_orphans(run: Path) -> int:
    """Kill them, until there are none; returns how many there were."""
    killed: set[ProcessIdentity] = set()
    while left := orphans(run):
        for process in left:
            process.send(signal.SIGKILL)
        killed.update(left)
        time.sleep(_POLL_S)
    return len(killed)
