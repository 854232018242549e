"""The thread that sends logs and load, with a Kafka client of its own."""

from __future__ import annotations

import logging
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

import psutil

from parallelm.agent.telemetry.load import Load
from parallelm.agent.telemetry.log_shipping import LogShipping
from parallelm.agent.telemetry.processes import Processes
from parallelm.connections.kafka import client_config
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.records import Origin, Series, StatisticsBatch
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topics import STATISTICS
from parallelm.schemas.well_known import HOST_NODE, HOST_RUNS, HOSTS_MLAPP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parallelm.agent.metrics import AgentMetrics
    from parallelm.agent.telemetry import SeenRun
    from parallelm.connections import Settings

_LOG = logging.getLogger(__name__)
_TICK_S = 0.5
_LAST_WORDS_S = 2.0
_TIMEOUT_MS = 60_000
_QUEUE_KBYTES = 16_384
_CATEGORY, _GRAPH = "TIME_SERIES", "LINEGRAPH"


class Telemetry(threading.Thread):
    """Started once; ``see`` says which runs there are, ``end`` ends it."""

    def __init__(
        self,
        settings: Settings,
        agent_id: str,
        installation_id: str,
        folder: Path,
        interval_s: float,
        metrics: AgentMetrics,
    ) -> None:
        from confluent_kafka import Producer

        super().__init__(name="telemetry", daemon=True)
        prefix = settings.kafka.topic_prefix
        self._agent_id = agent_id
        self._producer_id = installation_id
        self._topic = STATISTICS.full_name(prefix)
        self._interval_s = interval_s
        self._codec = Codec(make_registry(settings.schema_registry, prefix))
        self._producer = Producer(
            client_config(
                settings.kafka,
                acks="all",
                enable_idempotence=True,
                partitioner="murmur2_random",
                compression_type="lz4",
                linger_ms=20,
                message_timeout_ms=_TIMEOUT_MS,
                queue_buffering_max_kbytes=_QUEUE_KBYTES,
            )
        )
        self._logs = LogShipping(self._producer, prefix, self._codec, folder / "logs.json", metrics)
        self._load = Load(folder)
        self._runs: Sequence[SeenRun] = ()
        self._new: SimpleQueue[SeenRun] = SimpleQueue()
        """Runs that have come: those that were over before this thread looked have logs, too."""
        self._ends = threading.Event()
        self._measure_at = 0.0
        self._seq = 0

    def see(self, runs: Sequence[SeenRun]) -> None:
        """The runs that go on now. Asked from another thread; what is over by the next call is sent whole all the same."""
        known = {run.key for run in self._runs}
        self._runs = runs  # before the queue, so that nothing of the queue is missing here but what is over
        for run in runs:
            if run.key not in known:
                self._new.put(run)

    def end(self) -> None:
        """Send what there is, for a moment, and end."""
        self._ends.set()
        self.join(2 * _LAST_WORDS_S)

    def run(self) -> None:
        """The thread: nothing that goes wrong here ends the agent."""
        from confluent_kafka import KafkaException

        expected = (SchemaError, KafkaException, OSError, psutil.Error)
        while not self._ends.is_set():
            more = False
            try:
                more = self._turn()
            except expected:
                _LOG.exception("logs and load could not be sent; they are tried again")
                self._ends.wait(_TICK_S * 10)
            self._producer.poll(0)
            self._ends.wait(0 if more else _TICK_S)
        try:
            self._look()
            self._logs.ship()
            self._producer.flush(_LAST_WORDS_S)
            self._logs.save()
        except expected:
            _LOG.exception("the last lines of logs could not be sent")
        finally:
            self._logs.close()

    def _turn(self) -> bool:
        runs = self._look()
        more = self._logs.ship()
        if self._interval_s and time.monotonic() >= self._measure_at:
            self._measure_at = time.monotonic() + self._interval_s
            self._measure(runs)
        return more

    def _look(self) -> Sequence[SeenRun]:
        new = [self._new.get() for _ in range(self._new.qsize())]
        runs = self._runs
        self._logs.see(runs, new)
        return runs

    def _measure(self, runs: Sequence[SeenRun]) -> None:
        host = Origin(
            mlapp_id=HOSTS_MLAPP, node_id=HOST_NODE, pipeline_instance_id="", agent_id=self._agent_id
        )
        self._send(host, self._load.of_host() | {HOST_RUNS: float(len(runs))})
        seen = Processes.now()
        for run in runs:
            if found := self._load.of_run(run.key, run.pids, seen):
                self._send(run.origin, found)
        self._load.forget({run.key for run in runs})

    def _send(self, origin: Origin, values: dict[str, float]) -> None:
        self._seq += 1
        at_ms = float(time.time_ns() // 1_000_000)
        batch = StatisticsBatch(
            origin=origin,
            producer_id=self._producer_id,
            seq=self._seq,
            series=[
                Series(
                    name=name,
                    model_id="",
                    category=_CATEGORY,
                    graph_type=_GRAPH,
                    labels={},
                    timestamps_ms=[at_ms],
                    values=[value],
                )
                for name, value in values.items()
            ],
        )
        try:
            self._producer.produce(self._topic, self._codec.encode(batch), STATISTICS.key(batch))
        except BufferError:
            return  # the next one says more
