"""The components as processes of their own, and the line protocol that releases days to them.

A component reads days from its standard input, one a line, and writes ``done DAY`` when its work on one is over. It ends
when its input does; when the demo is killed, so is every component, whatever it is busy with.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from parallelm.mcenter.demo.errors import DemoError
from parallelm.supervision.die_with_parent import killed_with_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from pathlib import Path
    from types import TracebackType

DAY_DEADLINE_S = 180.0
END_DEADLINE_S = 120.0
KILL_AFTER_S = 5.0
_LAST_LINES = 15


class Component:
    """One running component program."""

    def __init__(
        self, name: str, program: Path, arguments: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._said = b""
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                killed_with_us(sys.executable, "-u", str(program), *arguments),
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the demo, which ends its components itself
            )
        assert self._process.stdin is not None  # noqa: S101 - PIPE was asked for
        assert self._process.stdout is not None  # noqa: S101 - PIPE was asked for
        self._input, self._output = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def fileno(self) -> int:
        """Descriptor of what it writes, for ``selectors``."""
        return self._output.fileno()

    def release(self, day: date) -> None:
        """Let it work on ``day``."""
        try:
            self._input.write(f"{day.isoformat()}\n".encode())
            self._input.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def finished_days(self) -> list[str]:
        """Days that it has finished since the last call; waits until it writes. Raises ``DemoError`` when it has ended."""
        chunk = os.read(self.fileno(), 65_536)
        if not chunk:
            raise self._ended()
        *lines, self._said = (self._said + chunk).split(b"\n")
        return [line.removeprefix(b"done ").decode() for line in lines if line.startswith(b"done ")]

    def end_input(self) -> None:
        """Signal that no day will follow."""
        self._input.close()

    def wait(self, deadline_s: float) -> None:
        """Wait until it has sent what it had and ended; raises ``DemoError`` when it fails or does not end."""
        try:
            code = self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise DemoError(
                f"component {self.name} has not ended within {deadline_s:.0f} s; see {self.log}"
            ) from None
        if code:
            raise self._ended()

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._output.close()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def _ended(self) -> DemoError:
        code = self._process.wait(END_DEADLINE_S)
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        last = "\n  ".join(lines) or "it wrote nothing"
        return DemoError(
            f"component {self.name} ended with exit code {code}; its last lines ({self.log}):\n  {last}"
        )


class Components:
    """All components of the demo; a ``with`` block leaves none of them running."""

    def __init__(self, components: Sequence[Component]) -> None:
        self._components = components

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for component in self._components:
            component.kill()

    def work(self, day: date) -> None:
        """Release ``day`` to all of them and wait until all have finished it; raises ``DemoError`` at the deadline."""
        for component in self._components:
            component.release(day)
        deadline = time.monotonic() + DAY_DEADLINE_S
        with selectors.DefaultSelector() as selector:
            for component in self._components:
                selector.register(component, selectors.EVENT_READ, component)
            while waiting := [key.data for key in selector.get_map().values()]:
                ready = selector.select(deadline - time.monotonic())
                if not ready:
                    names = ", ".join(component.name for component in waiting)
                    raise DemoError(f"{names} did not finish {day} within {DAY_DEADLINE_S:.0f} s")
                for key, _ in ready:
                    if day.isoformat() in key.data.finished_days():
                        selector.unregister(key.data)

    def finish(self) -> None:
        """No day follows: wait until all have reported everything and ended."""
        for component in self._components:
            component.end_input()
        for component in self._components:
            component.wait(END_DEADLINE_S)
