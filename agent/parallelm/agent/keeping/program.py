"""One program of a run: started in a session of its own, and ended with every process below it."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

from parallelm.agent.keeping import signals
from parallelm.agent.keeping.linux import die_with
from parallelm.agent.keeping.process_tree import descendants, signal_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


NOT_FOUND = 127
"""Exit code of a program that could not be started, as shells have it."""


def start_program(
    become: Callable[[], tuple[Sequence[str], Mapping[str, str]]], keeper: int
) -> tuple[int, str, list[int]]:
    """Start what ``become`` says, as a child of the keeper: its pid, why it could not be started, its stdout and stderr.

    The keeper is the reaper of all that it starts. Raises ``OSError`` when there can be no process.
    """
    outputs = [os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)]
    failure, failure_in = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
        if pid == 0:
            _become(become, [outputs[0][1], outputs[1][1]], failure_in, keeper)
    except OSError:
        for descriptor in (failure, outputs[0][0], outputs[1][0]):
            os.close(descriptor)
        raise
    finally:
        for descriptor in (failure_in, outputs[0][1], outputs[1][1]):
            os.close(descriptor)
    error = os.read(failure, 4096)
    os.close(failure)
    readers = [outputs[0][0], outputs[1][0]]
    for reader in readers:
        os.set_blocking(reader, False)
    return pid, error.decode("utf-8", "replace") if error else "", readers


class Program(NamedTuple):
    """A program that was started, as its keeper has seen it last; for the process that decides on it."""

    pid: int
    keeper: int
    exit_code: int | None
    """Minus the signal that ended it; None while it runs."""
    gone: bool
    """Whether it and all that it started have ended."""

    def terminate(self) -> None:
        """Ask it to end: SIGTERM to its group, and to what is left of others when it has ended itself."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
        else:
            self._signal_rest(signal.SIGTERM)

    def kill(self) -> None:
        """Kill every process that there is below the keeper; one that is just being forked is met by the next call."""
        self._signal_rest(signal.SIGKILL)

    def send(self, signal_number: int) -> None:
        """Send the program itself a signal."""
        if self.exit_code is None:
            signal_all([self.pid], signal_number)

    def _signal_rest(self, signal_number: int) -> None:
        """Send all processes below the keeper a signal, but not this one, which the keeper has decide."""
        own = os.getpid()
        signal_all([pid for pid in descendants(self.keeper) if pid != own], signal_number)


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
