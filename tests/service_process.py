"""A service of the platform as a process of its own, started as its supervisor starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from parallelm.connections import Settings, save_settings
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.supervision.service_frame import READY_FILE, signals_held
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class ServiceProcess:
    """``python -m MODULE ARGUMENTS``; may be killed and started again, and is gone at the end of a ``with`` block."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        settings: Settings | None = None,
        module: str = "parallelm.mcenter",
        environ: Mapping[str, str] | None = None,
        working_folder: Path | None = None,
        through: Sequence[str] = (),
    ) -> None:
        """``through``: a command that becomes the one behind it."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._log = folder / "log"
        self._ready = folder / "ready"
        self._command = killed_with_us(*through, sys.executable, "-m", module, *arguments)
        self._working_folder = working_folder
        own = {READY_FILE: str(self._ready), "MCENTER_LOG_FORMAT": "text"}
        self._environ = own | dict(os.environ if environ is None else environ)
        self._environ[READY_FILE] = str(self._ready)
        if settings is not None:
            save_settings(settings, folder / "mcenter.toml")
            self._environ["MCENTER_CONFIG"] = str(folder / "mcenter.toml")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @contextmanager
    def gone_at_the_end(self) -> Iterator[None]:
        """For tests that start it themselves."""
        try:
            yield
        finally:
            self._end()

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it is ready."""
        self._ready.unlink(missing_ok=True)
        with self._log.open("ab") as log, signals_held():
            self.process = subprocess.Popen(
                self._command, env=self._environ, cwd=self._working_folder, stdout=log, stderr=log
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it is ready; fails when it ends before."""
        wait_for(lambda: self.is_ready() or self._running().poll() is not None, self.log)
        assert self.is_ready(), self.log()

    def is_ready(self) -> bool:
        return self._ready.exists()

    def kill(self) -> None:
        """``kill -9``."""
        self.end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        return self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self._running().send_signal(number)
        return self._running().wait(DEADLINE_S)

    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process
