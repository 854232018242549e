"""One program of a run: started in a session of its own, and ended with every process below it."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from parallelm.agent.keeping import signals
from parallelm.agent.keeping.linux import die_with
from parallelm.agent.keeping.log_writer import OutputLines
from parallelm.agent.keeping.process_tree import descendants, signal_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.agent.keeping.log_writer import LogWriter

_CHUNK = 65_536
_MOST_CHUNKS = 16
"""Read at once, so that a program that writes without end cannot keep its keeper from its clock."""
NOT_FOUND = 127
"""Exit code of a program that could not be started, as shells have it."""


class Program:
    """A running program and its output. Its keeper is the reaper of all that it starts."""

    def __init__(
        self, become: Callable[[], tuple[Sequence[str], Mapping[str, str]]], log: LogWriter, step_id: str
    ) -> None:
        outputs = [os.pipe2(os.O_CLOEXEC) for _ in "oe"]
        failure, failure_in = os.pipe2(os.O_CLOEXEC)
        keeper = os.getpid()
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _become(become, [writer for _, writer in outputs], failure_in, keeper)
        finally:
            for descriptor in (failure_in, *(writer for _, writer in outputs)):
                os.close(descriptor)
        self.exit_code: int | None = None
        """Minus the signal that ended it; None while it runs."""
        self.start_error = os.read(failure, 4096).decode("utf-8", "replace")
        """Why the program could not be started."""
        os.close(failure)
        self.gone = False
        """Whether it and all that it started have ended."""
        self._streams: dict[int, OutputLines] = {}
        for (reader, _), stream in zip(outputs, (b"o", b"e"), strict=True):
            os.set_blocking(reader, False)
            self._streams[reader] = OutputLines(log, stream, step_id)

    @property
    def descriptors(self) -> list[int]:
        """To poll: readable when it has written."""
        return list(self._streams)

    def read(self) -> None:
        """Take what it has written."""
        for descriptor in list(self._streams):
            self._read(descriptor)

    def reap(self) -> None:
        """See which of its processes have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.gone = True
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.exit_code = os.waitstatus_to_exitcode(status)

    def terminate(self) -> None:
        """Ask it to end: SIGTERM to its group, and to what is left of others when it has ended itself."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
        else:
            signal_all(descendants(os.getpid()), signal.SIGTERM)

    def kill(self) -> None:
        """Kill every process that there is below the keeper; one that is just being forked is met by the next call."""
        signal_all(descendants(os.getpid()), signal.SIGKILL)

    def send(self, signal_number: int) -> None:
        """Send the program itself a signal."""
        if self.exit_code is None:
            signal_all([self.pid], signal_number)

    def close(self) -> None:
        """Take the rest of its output."""
        self.read()
        for descriptor, lines in self._streams.items():  # somebody else has been given its end of the pipe
            lines.end()
            os.close(descriptor)
        self._streams.clear()

    def _read(self, descriptor: int) -> None:
        lines = self._streams[descriptor]
        for _ in range(_MOST_CHUNKS):
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                lines.end()
                del self._streams[descriptor]
                os.close(descriptor)
                return
            lines.feed(chunk)


def _become(
    become: Callable[[], tuple[Sequence[str], Mapping[str, str]]],
    outputs: list[int],
    failure: int,
    keeper: int,
) -> None:
    """In the forked process: become the program. ``become`` finds its folder, limits, command and environment."""
    try:
        os.setsid()
        die_with(keeper)
        signals.set_back()
        null = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in zip((null, *outputs), (0, 1, 2), strict=True):
            os.dup2(descriptor, number)
        command, environ = become()
        os.execvpe(command[0], list(command), environ)  # noqa: S606 - the node's own program
    except BaseException as error:  # noqa: BLE001 - nothing may go on as a second keeper
        os.write(failure, str(error).encode("utf-8", "replace")[:4096])
    finally:
        os._exit(NOT_FOUND)
