"""The process that keeps one run: runs its steps, reads what they write, ends them, and records how it went.

It is forked from the zygote, outlives the agent, and mostly sleeps: for months, as one of hundreds. Python counts
references in the objects themselves, so each function, class and object that is used here copies pages that the zygote and
all keepers share. So this process does what only it can do: it starts programs, for they are to be its children and die
with it, reaps them, writes their lines, and waits. What is to be done is decided in processes aside (``decisions``), which
are gone afterwards with all that they have touched; between two of them a run is bytes here. And so there is one object
with few and long methods, and what not every run needs is made when it is needed.
"""

from __future__ import annotations

import marshal
import os
import select
import time
import zlib
from typing import Any

from parallelm.agent.keeping import signals
from parallelm.agent.keeping.aside import aside
from parallelm.agent.keeping.linux import become_reaper
from parallelm.agent.keeping.log_writer import LogWriter, OutputLines
from parallelm.agent.keeping.program import start_program
from parallelm.agent.keeping.timer import BootTimer

_READABLE, _NO_WAIT = select.POLLIN, os.WNOHANG
_CHUNK = 65_536
_MOST_CHUNKS = 16
"""Read at once, so that a program that writes without end cannot keep its keeper from its clock."""


class Keeper:
    """Does what is decided for one run, which it has claimed."""

    __slots__ = (
        "_end_with",
        "_environs",
        "_exit_code",
        "_gone",
        "_has_stack_ended",
        "_lines",
        "_log",
        "_log_limits",
        "_outputs",
        "_pid",
        "_self",
        "_start_error",
        "_state",
        "_stdout",
        "_step",
        "_timer",
        "_wake",
    )

    def __init__(self, begun: tuple[str, int, float, bytes, bytes], end_with: int | None) -> None:
        folder, log_bytes, log_keep_s, self._state, self._environs = begun
        self._log_limits = f"{folder}/logs", log_bytes, log_keep_s
        self._end_with = end_with
        self._self = os.getpid()
        self._pid = 0
        """Of the last program, 0 when it could not be started."""
        self._step = self._start_error = ""
        self._exit_code: int | None = None
        self._gone = self._has_stack_ended = False
        self._outputs: list[int] = []
        """What the program writes: its stdout and its stderr, unless they are closed."""
        self._stdout = -1
        self._lines: dict[int, OutputLines] = {}
        """Of outputs that something came from."""
        self._log: LogWriter | None = None
        self._timer: BootTimer | None = None
        self._wake = -1

    def keep(self) -> None:
        """Run it to its end, and record that."""
        self.run_to_end()
        aside(self._finish)

    def run_to_end(self) -> None:
        """Do what is decided until the run is over."""
        become_reaper()
        self._wake = signals.wake_descriptor()
        while True:
            start, is_over, until_s, boot_until_s, said, self._state = aside(self._decide)
            if said:
                for step, text in said:
                    self._log_writer().write(b"k", step, text)
            if is_over:
                break
            if start is None:
                if boot_until_s is not None or self._timer is not None:
                    self._timer = self._timer or BootTimer()
                    self._timer.set(boot_until_s)
                self._wait(until_s)
                continue
            self._step, self._start_error, self._exit_code, self._gone = start, "", None, False
            try:
                self._pid, self._start_error, self._outputs = start_program(self._become, self._self)
                self._stdout = self._outputs[0]
            except OSError as error:  # no process, descriptor or memory to be had
                self._pid, self._start_error = 0, str(error)
        signals.close_wake_descriptor(self._wake)
        if self._log is not None:
            self._log.close()

    def _wait(self, until_s: float | None) -> None:
        """Take what the program writes until something happens that is to be decided on, at most until ``until_s``."""
        wake, is_news = self._wake, False
        while not is_news:
            waiting = select.poll()
            waiting.register(wake, _READABLE)
            for descriptor in self._outputs:
                waiting.register(descriptor, _READABLE)
            if self._timer is not None:
                waiting.register(self._timer.descriptor, _READABLE)
            if self._end_with is not None and not self._has_stack_ended:
                waiting.register(self._end_with, _READABLE)
            ready = waiting.poll(None if until_s is None else max(0.0, until_s - time.monotonic()) * 1000 + 1)
            is_news = not ready
            for descriptor, _ in ready:
                if descriptor == wake:
                    is_news = self._reap() or signals.has_noted() or is_news
                elif descriptor in self._outputs:
                    self._read(descriptor)
                else:
                    is_news = True
                    if descriptor == self._end_with:
                        self._has_stack_ended = True

    def _reap(self) -> bool:
        """See which processes of the program have ended; returns whether it has itself, or the last of them."""
        try:  # noqa: SIM105 - contextlib takes memory
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        if not self._pid or self._gone:
            return False
        has_ended = False
        try:
            while True:
                pid, status = os.waitpid(-1, _NO_WAIT)
                if not pid:
                    return has_ended
                if pid == self._pid:
                    self._exit_code = os.waitstatus_to_exitcode(status)
                    has_ended = True
        except ChildProcessError:
            self._gone = True
        for descriptor in list(
            self._outputs
        ):  # the rest; somebody else may have been given the other end of the pipe
            self._read(descriptor)
        for descriptor in self._outputs:
            os.close(descriptor)
        for lines in self._lines.values():
            lines.end()
        self._lines, self._outputs = {}, []
        return True

    def _read(self, descriptor: int) -> None:
        """Take what the program has written to one of its outputs."""
        for _ in range(_MOST_CHUNKS):
            try:
                chunk = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._outputs.remove(descriptor)
                os.close(descriptor)
                lines = self._lines.pop(descriptor, None)
                if lines is not None:
                    lines.end()
                return
            lines = self._lines.get(descriptor)
            if lines is None:
                stream = b"o" if descriptor == self._stdout else b"e"
                lines = self._lines[descriptor] = OutputLines(self._log_writer(), stream, self._step)
            lines.feed(chunk)

    def _log_writer(self) -> LogWriter:
        if self._log is None:
            self._log = LogWriter(*self._log_limits)
        return self._log

    def _decide(self) -> tuple[Any, ...]:
        """In a process aside."""
        from parallelm.agent.keeping.decisions import Decider
        from parallelm.agent.keeping.program import Program
        from parallelm.agent.keeping.watch import Sight

        sight = Sight(signals.is_terminated(), self._has_stack_ended)
        program = Program(self._pid, self._self, self._exit_code, self._gone) if self._pid else None
        return tuple(Decider.restored(self._state).decide(sight, program, self._start_error))

    def _finish(self) -> None:
        """In a process aside."""
        from parallelm.agent.keeping.decisions import Decider

        Decider.restored(self._state).finish(0 if self._log is None else self._log.dropped)

    def _become(self) -> tuple[list[str], dict[str, str]]:
        """In the process that becomes the step's program: its command and environment."""
        from parallelm.agent.keeping.decisions import Decider

        decider = Decider.restored(self._state)
        environs = zlib.decompress(self._environs)
        environ = decider.environ(marshal.loads(environs))  # noqa: S302 - our own
        return decider.enter(), environ
