"""Sends what ended programs of this host could not: their reports in the spool, and their models in the outbox.

The component library sends what is left with its next process on the host, which may come as late as the next run. So where
something is left, a process that does nothing else is started: ``python -m parallelm.agent.pipelines.left_reports``.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from parallelm.supervision.die_with_parent import killed_with_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LOOK_EVERY_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 300.0
"""While it cannot be sent: brokers are away, or it is for another platform."""
_PATIENT: Final = {
    "PM_MLOPS_MODE": "agent",
    "MCENTER_COMPONENT_CLOSE_TIMEOUT_S": "10",
    "MCENTER_COMPONENT_UPLOAD_TIMEOUT_S": "600",
}
_LOG = logging.getLogger(__name__)


class LeftReports:
    """Used by one thread; never waits for the process."""

    def __init__(self, folders: Sequence[Path], host: Mapping[str, str]) -> None:
        self._folders, self._environ = folders, {**host, **_PATIENT}
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at_s, self._pause_s = 0.0, _LOOK_EVERY_S

    def look(self) -> None:
        """Have it sent when it is time to; to be called often."""
        if (self._process is not None and self._process.poll() is None) or time.monotonic() < self._look_at_s:
            return
        self._process = None
        if any(_has_left(folder) for folder in self._folders):
            self._start()
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self._pause_s = _LOOK_EVERY_S
        self._look_at_s = time.monotonic() + self._pause_s

    def close(self) -> None:
        """End the process, wherever it is: the next one goes on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        command = killed_with_us(sys.executable, "-P", "-m", __name__)
        try:
            self._process = subprocess.Popen(
                command, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except OSError as error:
            _LOG.warning("what ended programs have left in %s waits: %s", self._folders, error)


def _has_left(folder: Path) -> bool:
    """Whether a process has ended before all of its was sent.

    Spool and outbox are alike: a process that lives holds the lock ``<name>.lock`` beside its folder ``<name>``.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return any(
            entry.is_dir() and not entry.name.endswith(".refused") and not _is_held(folder, entry.name)
            for entry in entries
        )
    return False


def _is_held(folder: Path, name: str) -> bool:
    try:
        descriptor = os.open(folder / f"{name.removesuffix('.partial')}.lock", os.O_RDWR)
    except PermissionError:  # another user's
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _main() -> None:
    from parallelm.mlops import mlops

    mlops.init()
    mlops.done()


if __name__ == "__main__":
    _main()
