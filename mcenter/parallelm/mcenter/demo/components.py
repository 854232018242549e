"""What the demo and its running components say to each other: days are released, and told to be done.

Agents run the components, as the MLApp file says, with a named pipe each as standard input and output. A component reads
days, one a line, and writes ``done DAY`` when its work on one is over. It ends when its input does.
"""

from __future__ import annotations

import os
import selectors
import time
from typing import TYPE_CHECKING, Self

from parallelm.mcenter.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path
    from types import TracebackType

DAY_DEADLINE_S = 180.0
END_DEADLINE_S = 120.0


class Component:
    """The pipes of one node: ``NODE.days`` and ``NODE.done`` in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._said = b""
        days, done = folder / f"{name}.days", folder / f"{name}.done"
        for pipe in (days, done):
            os.mkfifo(pipe, 0o600)
        # Open for both, neither waits for the other side, and days that are released before it is there are kept.
        self._days = os.open(days, os.O_RDWR | os.O_CLOEXEC)
        self._done = os.open(done, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Descriptor of what it writes, for ``selectors``."""
        return self._done

    def release(self, day: date) -> None:
        """Let it work on ``day``."""
        os.write(self._days, f"{day.isoformat()}\n".encode())

    def finished_days(self) -> list[str]:
        """Days that it has finished since the last call. Raises ``DemoError`` when it has ended."""
        chunk = os.read(self._done, 65_536)
        if not chunk:
            raise DemoError(
                f"node {self.name} has ended before the year was over; see `mcenter runs list --node {self.name}` "
                "and what it wrote: `mcenter runs logs RUN`"
            )
        *lines, self._said = (self._said + chunk).split(b"\n")
        return [line.removeprefix(b"done ").decode() for line in lines if line.startswith(b"done ")]

    def end_input(self) -> None:
        """Signal that no day will follow."""
        if self._days >= 0:
            os.close(self._days)
            self._days = -1

    def has_ended(self) -> bool:
        """Whether it has closed its output."""
        return not os.read(self._done, 65_536)

    def close(self) -> None:
        """Let go of the pipes."""
        self.end_input()
        os.close(self._done)


class Components:
    """All components of the demo; after a ``with`` block none of them gets another day."""

    def __init__(self, components: Sequence[Component]) -> None:
        self._components = components

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for component in self._components:
            component.close()

    def work(self, day: date) -> None:
        """Release ``day`` to all of them and wait until all have finished it; raises ``DemoError`` at the deadline."""
        for component in self._components:
            component.release(day)
        for component, selector in self._ready(DAY_DEADLINE_S, f"did not finish {day}"):
            if day.isoformat() in component.finished_days():
                selector.unregister(component)

    def finish(self) -> None:
        """No day follows: wait until all have reported everything and ended."""
        for component in self._components:
            component.end_input()
        for component, selector in self._ready(END_DEADLINE_S, "has not ended"):
            if component.has_ended():
                selector.unregister(component)

    def _ready(self, deadline_s: float, what: str) -> Iterator[tuple[Component, selectors.BaseSelector]]:
        """Components that have written or ended, until whoever asks has taken all of them out of the selector."""
        deadline = time.monotonic() + deadline_s
        with selectors.DefaultSelector() as selector:
            for component in self._components:
                selector.register(component, selectors.EVENT_READ, component)
            while waiting := [key.data for key in selector.get_map().values()]:
                ready = selector.select(deadline - time.monotonic())
                if not ready:
                    names = ", ".join(component.name for component in waiting)
                    raise DemoError(f"{names} {what} within {deadline_s:.0f} s")
                for key, _ in ready:
                    yield key.data, selector
