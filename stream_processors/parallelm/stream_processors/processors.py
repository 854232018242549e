"""The stream processors: which stages there are, and how a worker with them runs."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from parallelm.definitions import DefinitionTopic
from parallelm.schemas.codec import Codec
from parallelm.schemas.layouts import LayoutReader
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topics import (
    ACTIONS,
    EVENTS,
    KPIS,
    MLAPP_STATE,
    MLAPPS,
    MODELS,
    RULE_AGGREGATES,
    RUN_REPORTS,
    SERIES_STATE,
    STATISTICS,
    STRUCTURED_STATISTICS,
)
from parallelm.stream_processors.agent_directory import AgentDirectory
from parallelm.stream_processors.current_rules import CurrentRules
from parallelm.stream_processors.mlapp_stage import MLAppHandler
from parallelm.stream_processors.runtime.worker import Stage, Worker, WorkerError
from parallelm.stream_processors.series_stage.handler import SeriesHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings

__all__ = ["WorkerError", "run_worker"]


class Stop(Protocol):
    """Says when the worker is to end."""

    def fileno(self) -> int:
        """A descriptor that is readable from then on."""


MLAPP_TOPICS = (MLAPPS, MODELS, EVENTS, KPIS, ACTIONS, RULE_AGGREGATES, RUN_REPORTS)


def run_worker(
    settings: Settings,
    stop: Stop,
    on_ready: Callable[[], None],
    *,
    session_timeout_s: float = 10.0,
    instance_id: str = "",
) -> None:
    """Run one worker in this process until ``stop`` is set; raises ``WorkerError`` and errors of the cluster.

    With ``instance_id`` it is a static member of its group: a successor with the same id gets its partitions at once.
    """
    prefix = settings.kafka.topic_prefix
    codec = Codec(make_registry(settings.schema_registry, prefix))
    reader = LayoutReader(codec.registry)
    with DefinitionTopic(settings) as definitions, closing(AgentDirectory(settings, codec)) as agents:
        rules = CurrentRules(definitions)
        stages = (
            Stage(
                "series",
                (STATISTICS, STRUCTURED_STATISTICS),
                SERIES_STATE,
                lambda letters: SeriesHandler(codec, prefix, rules, letters, reader),
            ),
            Stage(
                "mlapp",
                MLAPP_TOPICS,
                MLAPP_STATE,
                lambda letters: MLAppHandler(codec, prefix, rules, letters, agents),
                follows=(STATISTICS,),
            ),
        )
        worker = Worker(
            settings,
            stages,
            on_ready=on_ready,
            session_timeout_s=session_timeout_s,
            instance_id=instance_id,
        )
        asyncio.run(_run(worker, stop))


async def _run(worker: Worker, stop: Stop) -> None:
    asyncio.get_running_loop().add_reader(stop.fileno(), worker.stop)
    try:
        await worker.run()
    finally:
        worker.ended()
