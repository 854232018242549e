"""Agents in threads of the test, with topics of their own on the session's broker."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from parallelm.agent.metrics import AgentMetrics
from parallelm.agent.options import AgentOptions
from parallelm.agent.service import run as service
from parallelm.agent.service.store import Store
from parallelm.supervision.health import Health
from parallelm.supervision.service_frame import Stop
from tests.agent.control_plane import ControlPlane
from tests.agent.scripted_runner import ScriptedRunner
from tests.waiting import DEADLINE_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.agent.runners import RunnerContext
    from parallelm.connections import Settings


@pytest.fixture
def plane(topics: Settings) -> Iterator[ControlPlane]:
    made = ControlPlane(topics)
    yield made
    made.close()


class RunningAgent:
    """An agent in a thread. What it cannot go on with is in ``error``."""

    def __init__(self, settings: Settings, options: AgentOptions) -> None:
        self.error: BaseException | None = None
        self.health = Health()
        self.registry = CollectorRegistry()
        self.is_ready = threading.Event()
        self.runner: ScriptedRunner | None = None
        self.store: Store | None = None
        self._settings, self._options = settings, options
        self._stop = Stop()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        wait_for(lambda: self.runner is not None or self.error is not None)

    def await_ready(self) -> ScriptedRunner:
        wait_for(lambda: self.is_ready.is_set() or self.error is not None)
        if self.error is not None:
            raise self.error
        assert self.runner is not None
        return self.runner

    def end(self) -> None:
        if self._thread.is_alive():
            self._stop.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _make(self, context: RunnerContext) -> ScriptedRunner:
        self.runner = ScriptedRunner(context)
        return self.runner

    def _open_store(self, *arguments: Any) -> Store:
        self.store = Store(*arguments)
        return self.store

    def _announce_ready(self) -> None:
        self.health.ready()
        self.is_ready.set()

    def _run(self) -> None:
        try:
            service.run_agent(
                self._settings,
                self._options,
                self._stop,
                self._announce_ready,
                self.health.watch,
                metrics=AgentMetrics(self.registry),
                open_store=self._open_store,
                makers={"process": self._make},
            )
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error


@contextmanager
def running_agent(settings: Settings, folder: Path, **options: Any) -> Iterator[RunningAgent]:
    """An agent that runs until the end of the block, and has found its old runs."""
    told: dict[str, Any] = {"name": "host-a", "heartbeat_interval_s": 0.2, "metrics_interval_s": 0.0}
    agent = RunningAgent(settings, AgentOptions(folder=folder, **told | options))
    agent.start()
    try:
        yield agent
    finally:
        agent.end()
