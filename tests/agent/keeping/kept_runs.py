"""Runs under keepers that end with the test."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.keepers import Keepers
from parallelm.agent.keeping.log_reader import LogReader
from parallelm.agent.keeping.plan import Plan, StepPlan
from parallelm.agent.keeping.process_identity import ProcessIdentity
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.agent.keeping.log_reader import LogLine
    from parallelm.agent.keeping.records import Ending
    from parallelm.agent.keeping.run_folder import RunFolder


@dataclass
class Host:
    """One agent's folder, and what tests do there."""

    folder: Path

    def __post_init__(self) -> None:
        self.keepers = self.restarted()
        self._runs = 0

    def restarted(self) -> Keepers:
        """Keepers as a restarted agent makes them."""
        return Keepers(self.folder, end_with=ProcessIdentity.own())

    def accept(self) -> RunFolder:
        """A new run."""
        self._runs += 1
        run, _ = self.keepers.accept(f"run-{self._runs}", 1, "{}")
        return run

    def start(self, *commands: str | list[str], lease_until_s: float | None = None, **plan: Any) -> RunFolder:
        """Start a run: each command is a step, a text one in Python."""
        run = self.accept()
        steps = [
            StepPlan(
                step_id=f"step-{number}",
                command=[sys.executable, "-c", command] if isinstance(command, str) else command,
                folder=str(run.work),
            )
            for number, command in enumerate(commands, 1)
        ]
        environ = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        secrets = plan.pop("secrets", {})
        self.keepers.start(
            run, Plan(steps=steps, environ=environ, **plan), secrets=secrets, lease_until_s=lease_until_s
        )
        return run

    def ending(self, run: RunFolder) -> Ending:
        """How it ended, waited for."""
        wait_for(lambda: self.keepers.phase(run) == "ended", run.progress)
        ending = run.ending()
        assert ending is not None
        return ending

    def wait_for_line(self, run: RunFolder, text: str) -> LogLine:
        """The first line of its log with this text."""
        return wait_for(
            lambda: next((line for line in lines_of(run) if text in line.text), None), lambda: lines_of(run)
        )

    def close(self) -> None:
        """End what is left."""
        for run in self.keepers.runs():
            if self.keepers.phase(run) == "kept":
                self.keepers.stop(run, "the test is over", grace_s=0)
                self.ending(run)
        self.keepers.close()


def lines_of(run: RunFolder) -> list[LogLine]:
    """All lines of its log."""
    reader = LogReader(run.logs)
    lines: list[LogLine] = []
    while more := reader.read(100_000):
        lines += more
    reader.close()
    return lines


def texts_of(run: RunFolder, stream: str = "stdout") -> list[str]:
    """What it has written to a stream."""
    return [line.text for line in lines_of(run) if line.stream == stream]
