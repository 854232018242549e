"""Tells telemetry which runs there are. It runs in a thread of its own, which runners do not know."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.agent.telemetry import SeenRun
from parallelm.schemas.records import Origin

if TYPE_CHECKING:
    from parallelm.agent.options import AgentOptions
    from parallelm.agent.runners import RunKey, Runner, RunStatus
    from parallelm.agent.service.run_book import RunBook
    from parallelm.agent.telemetry.thread import Telemetry

_INTERVAL_S = 1.0


class Showing:
    """Used by the agent's thread."""

    def __init__(self, book: RunBook, telemetry: Telemetry, options: AgentOptions) -> None:
        self._book = book
        self._telemetry = telemetry
        self._agent_id = options.name
        self._look_interval_s = max(_INTERVAL_S, options.metrics_interval_s / 3)
        self._shown_at, self._looked_at = 0.0, 0.0
        self._runs: dict[RunKey, SeenRun] = {}

    def show_when_due(self) -> None:
        """Now and then, and at once when there is a new run: it may be over, and is settled and forgotten next."""
        is_due = time.monotonic() - self._shown_at > _INTERVAL_S
        if is_due or self._book.statuses.keys() - self._runs.keys():
            self.show()

    def show(self) -> None:
        """Tell of all runs of the book."""
        now = self._shown_at = time.monotonic()
        if now - self._looked_at > self._look_interval_s:
            # Processes come and go; looking for those of all runs takes a while.
            self._looked_at, self._runs = now, {}
        self._runs = {
            key: self._runs.get(key) or self._seen(status, runner)
            for key, status in self._book.statuses.items()
            if (runner := self._book.runner_of(status))
        }
        self._telemetry.see(list(self._runs.values()))

    def _seen(self, status: RunStatus, runner: Runner) -> SeenRun:
        spec = status.spec
        return SeenRun(
            key=status.key,
            origin=Origin(
                mlapp_id=spec.mlapp_id,
                node_id=spec.node_id,
                pipeline_instance_id=spec.pipeline_instance_id,
                agent_id=self._agent_id,
            ),
            logs=runner.logs(status.key),
            lines_per_second=spec.running.logs.lines_per_second,
            pids=tuple(runner.pids(status.key)),
        )
