"""Where a supervisor's messages go: to the terminal of ``mcenter up``, or to ``logs/stack.log``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.mcenter.terminal import echo_styled
from parallelm.supervision.bounded_log import BoundedLog

if TYPE_CHECKING:
    from pathlib import Path

_COLOURS = {
    "kafka": "yellow",
    "clickhouse": "cyan",
    "registry": "blue",
    "sink": "green",
    "processors": "magenta",
}
_WIDTH = 12


class TerminalOutput:
    """Everything, each line behind the coloured name of who wrote it."""

    def line(self, name: str, text: str) -> None:
        """A line of a process."""
        echo_styled(name.ljust(_WIDTH), f"| {text.expandtabs()}", fg=_COLOURS.get(name))

    def event(self, name: str, text: str) -> None:
        """Something that happened to a process."""
        for line in text.split("\n"):
            echo_styled(name.ljust(_WIDTH), f"| {line}", fg=_COLOURS.get(name), bold=True)


class FileOutput:
    """Events only, with their time: the processes' own lines are in their own log files."""

    def __init__(self, path: Path) -> None:
        self._log = BoundedLog(path)

    def line(self, name: str, text: str) -> None:
        """Nothing."""

    def event(self, name: str, text: str) -> None:
        """One line, or several where the text has several."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        self._log.write(f"{stamp} {name.ljust(_WIDTH)}| {text}\n".encode(errors="backslashreplace"))
