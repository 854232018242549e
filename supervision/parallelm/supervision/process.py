"""One child process: started so that it dies with its supervisor, its output in a bounded log file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING

from parallelm.supervision.bounded_log import BoundedLog
from parallelm.supervision.die_with_parent import die_with
from parallelm.supervision.service_frame import signals_held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LAST_LINES = 30
LONGEST_LINE = 100_000


class ChildProcess:
    """A running process and its output.

    Start it from the main thread of a process without other threads: the kernel treats the end of the *thread* as
    the parent's, and ``preexec_fn`` runs Python between fork and exec. With ``holds_signals`` it gets no signal
    before it calls ``service_frame.catch_signals``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        log: Path,
        *,
        holds_signals: bool = False,
    ) -> None:
        supervisor = os.getpid()
        self._log = BoundedLog(log)
        self._rest = b""
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.started_at = time.time()
        with signals_held() if holds_signals else nullcontext():
            self._process = subprocess.Popen(
                command,
                env=dict(environ),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops the children in order
                preexec_fn=lambda: die_with(supervisor, signal.SIGKILL),  # noqa: PLW1509 - no threads here
            )
        assert self._process.stdout is not None  # noqa: S101 - PIPE was asked for
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Descriptor of its output, for ``selectors``."""
        return self._pipe.fileno()

    @property
    def closed(self) -> bool:
        """Whether it has ended and ``close`` was called."""
        return self._pipe.closed

    def exit_code(self) -> int | None:
        """Exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    def send(self, signal_number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        self._process.send_signal(signal_number)

    def read_lines(self) -> list[str]:
        """Whole lines that it has written since the last call, also written to the log file."""
        lines: list[bytes] = []
        while True:
            try:
                chunk = os.read(self._pipe.fileno(), 65_536)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._log.write(chunk)
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            lines += whole
            self._rest = self._rest[-LONGEST_LINE:]
        text = [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        self.last_lines.extend(text)
        return text

    def close(self) -> list[str]:
        """Read what is left after its end and close the files; returns the last lines of that."""
        lines = self.read_lines()
        if self._rest:
            lines.append(self._rest.decode("utf-8", "replace"))
            self.last_lines.append(lines[-1])
            self._rest = b""
        self._pipe.close()
        self._log.close()
        return lines
