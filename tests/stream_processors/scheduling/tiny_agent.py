"""An agent as small as one can be, on the real topics: registers, heartbeats, starts what it is told, and reports it.

Programs are none: an offline run succeeds as soon as it has started, an online one goes on until it is stopped.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.definitions.run_spec import RunSpec
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import (
    AgentCommand,
    AgentState,
    CommandKind,
    Heartbeat,
    RunReport,
    RunReportKind,
)
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import AGENT_COMMANDS, AGENTS, HEARTBEATS, RUN_REPORTS

if TYPE_CHECKING:
    from parallelm.connections import Settings

_BEAT_S = 0.5


class TinyAgent:
    """Runs in a thread between ``with`` and its end."""

    def __init__(self, settings: Settings, name: str, labels: dict[str, str] | None = None) -> None:
        self.name = name
        self.specs: dict[tuple[str, int], RunSpec] = {}
        """What was started, by run and attempt."""
        self.seen: Counter[str] = Counter()
        """How often each command came."""
        self.delivered: list[AgentCommand] = []
        self._labels = labels or {}
        self._prefix = settings.kafka.topic_prefix
        self._codec = Codec(make_registry(settings.schema_registry, self._prefix))
        self._producer = Producer(
            client_config(settings.kafka, acks="all", partitioner="murmur2_random", linger_ms=0)
        )
        self._consumer = Consumer(reader_config(settings.kafka, "test-agent"))
        commands = AGENT_COMMANDS.full_name(self._prefix)
        self._consumer.assign(
            [TopicPartition(commands, each, 0) for each in range(AGENT_COMMANDS.partitions)]
        )
        self._seq = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._send(
            AGENTS,
            AgentState(
                event_time_ms=_now(), agent_id=self.name, hostname="host", version="1", labels=self._labels, pipelines=(),
                epoch=1, installation_id=self.name, runners=("process",),
            ),
        )  # fmt: skip
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _work(self) -> None:
        beaten = 0.0
        while not self._stop.is_set():
            if time.monotonic() - beaten > _BEAT_S:
                beaten = time.monotonic()
                self._seq += 1
                self._send(HEARTBEATS, Heartbeat(event_time_ms=_now(), agent_id=self.name, hostname="host", seq=self._seq, epoch=1, installation_id=self.name))  # fmt: skip
            for message in self._consumer.consume(100, 0.05):
                if message.error() is None:
                    command = self._codec.decode(message.value(), AgentCommand)
                    if command.agent_id == self.name:
                        self._obey(command)

    def _obey(self, command: AgentCommand) -> None:
        self.seen[command.command_id] += 1
        key = (command.run_id, command.attempt)
        if command.kind is CommandKind.START and key not in self.specs:
            spec = self.specs[key] = RunSpec.of_json(command.spec_json)
            self._say(command, RunReportKind.ACCEPTED)
            self._say(command, RunReportKind.STARTED, starts=1, pid=7)
            if spec.model is not None:
                self._say(command, RunReportKind.MODEL_ACCEPTED, model_id=spec.model.model_id)
            if spec.mode == "offline":
                self._say(command, RunReportKind.ENDED, outcome="succeeded")
        elif command.kind is CommandKind.STOP:
            self._say(command, RunReportKind.ENDED, outcome="stopped", exit_code=-15)
        elif command.kind is CommandKind.DELIVER_MODEL:
            self.delivered.append(command)

    def answer(self, delivery: AgentCommand, kind: RunReportKind, model_id: str, message: str = "") -> None:
        """Accept a model, or refuse it."""
        self._say(delivery, kind, model_id=model_id, message=message)

    def _say(self, command: AgentCommand, kind: RunReportKind, **more: Any) -> None:
        self._seq += 1
        report = RunReport(
            event_time_ms=_now(), mlapp_id=command.mlapp_id, node_id=command.node_id, run_id=command.run_id,
            attempt=command.attempt, agent_id=self.name, epoch=1, seq=self._seq, kind=kind, **more,
        )  # fmt: skip
        self._send(RUN_REPORTS, report)

    def _send(self, topic: Any, record: Any) -> None:
        self._producer.produce(topic.full_name(self._prefix), self._codec.encode(record), topic.key(record))
        assert self._producer.flush(60) == 0


def _now() -> int:
    return time.time_ns() // 1_000_000
