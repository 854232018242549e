"""Puts an agent together and runs it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from parallelm.agent.metrics import served_metrics
from parallelm.agent.runners import RunnerContext, runner_makers
from parallelm.agent.service.agent import Agent
from parallelm.agent.service.data_folder import DataFolder
from parallelm.agent.service.store import Store, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from parallelm.agent.metrics import AgentMetrics
    from parallelm.agent.options import AgentOptions
    from parallelm.agent.runners import Runner
    from parallelm.connections import Settings
    from parallelm.supervision.service_frame import Stop

_LOG = logging.getLogger(__name__)
STORE_FILE = "agent.db"
_AGAIN_S = 1.0


def run_agent(
    settings: Settings,
    options: AgentOptions,
    stop: Stop,
    announce_ready: Callable[[], None],
    watch: Callable[..., None],
    *,
    metrics: AgentMetrics | None = None,
    open_store: Callable[[Path, int], Store] = Store,
    makers: Mapping[str, Callable[[RunnerContext], Runner | None]] | None = None,
) -> None:
    """Run an agent until ``stop`` is set or it is removed; raises ``AgentError`` when it cannot go on.

    ``watch`` is ``HEALTH.watch``. ``makers``: runners by name, all that there are by default.
    """
    makers = runner_makers() if makers is None else makers
    with (
        DataFolder(options.folder) as folder,
        opened(open_store, options, stop) as store,
        contextlib.ExitStack() as open_runners,
    ):
        runners = {}
        for name, make in makers.items():
            context = RunnerContext(
                settings=settings,
                agent_id=options.name,
                folder=options.folder / name,
                supervisor_pid=options.supervisor_pid,
            )
            context.folder.mkdir(mode=0o700, exist_ok=True)
            if (runner := make(context)) is not None:
                runners[name] = runner
                open_runners.callback(runner.close)
        agent = Agent(settings, options, folder, store, runners, metrics or served_metrics())
        watch(hangs=agent.why_hanging, stalls=agent.why_stalled)
        agent.run(stop, announce_ready)


def opened(open_store: Callable[[Path, int], Store], options: AgentOptions, stop: Stop) -> Store:
    """The store, once its disk has room; raises ``AgentError`` when it cannot be used, or ``stop`` is set before."""
    while True:
        try:
            return open_store(options.folder / STORE_FILE, options.store_max_bytes)
        except StoreFullError as error:
            _LOG.error("%s; trying again", error)
            if stop.wait(_AGAIN_S):
                raise
