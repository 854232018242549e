"""The control plane as an agent sees it: what sends commands and reads what agents say."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, Producer, TopicPartition

from parallelm.connections.kafka import client_config
from parallelm.definitions.run_spec import RunSpec
from parallelm.definitions.running import RunningForm
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import AgentCommand, CommandKind, RunReport, RunReportKind
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import AGENT_COMMANDS, AGENTS, HEARTBEATS, LOGS, MODELS, RUN_REPORTS, STATISTICS
from tests.waiting import wait_for

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

MLAPP = "flights"
FAR_MS = 600_000


class ControlPlane:
    """Commands to one agent, and everything that agents have said since it was made."""

    def __init__(self, settings: Settings, agent_id: str = "host-a") -> None:
        self.agent_id = agent_id
        self._settings = settings
        self._prefix = settings.kafka.topic_prefix
        self._codec = Codec(make_registry(settings.schema_registry, self._prefix))
        self._producer = Producer(
            client_config(settings.kafka, acks="all", partitioner="murmur2_random", linger_ms=0)
        )
        self._consumer = Consumer(reader_config(settings.kafka, "test"))
        self._consumer.assign(
            [
                TopicPartition(topic.full_name(self._prefix), partition, 0)
                for topic in (AGENTS, HEARTBEATS, RUN_REPORTS, LOGS, STATISTICS, MODELS)
                for partition in range(topic.partitions)
            ]
        )
        self._said: dict[str, list[Any]] = {}

    def close(self) -> None:
        self._consumer.close()

    def send(self, kind: CommandKind, **fields: Any) -> AgentCommand:
        """Send a command."""
        told: dict[str, Any] = {
            "event_time_ms": time.time_ns() // 1_000_000,
            "command_id": uuid.uuid4().hex,
            "agent_id": self.agent_id,
            "epoch": 1,
            "kind": kind,
            "mlapp_id": "",
            "node_id": "",
            "run_id": "",
            "attempt": 0,
            "expires_at_ms": 0,
            "reason": "",
        }
        command = AgentCommand(**told | fields)
        self.send_again(command)
        return command

    def send_again(self, command: AgentCommand) -> None:
        """Send the same command."""
        self.send_bytes(self._codec.encode(command), AGENT_COMMANDS.key(command))

    def send_bytes(self, value: bytes, key: bytes) -> None:
        """Send what may be no command."""
        self._producer.produce(AGENT_COMMANDS.full_name(self._prefix), value, key)
        assert self._producer.flush(60) == 0

    def start(
        self, run_id: str, *, attempt: int = 1, spec: RunSpec | None = None, **fields: Any
    ) -> AgentCommand:
        """Send a start command, valid for some minutes."""
        spec = spec or run_spec(run_id, attempt)
        told: dict[str, Any] = {
            "mlapp_id": MLAPP,
            "node_id": spec.node_id,
            "run_id": run_id,
            "attempt": attempt,
            "expires_at_ms": time.time_ns() // 1_000_000 + FAR_MS,
            "spec_json": spec.json(),
        }
        return self.send(CommandKind.START, **told | fields)

    def stop(self, run_id: str, attempt: int = 1, **fields: Any) -> AgentCommand:
        """Send a stop command."""
        return self.send(
            CommandKind.STOP, mlapp_id=MLAPP, node_id="node", run_id=run_id, attempt=attempt, **fields
        )

    def said(self, topic: Topic) -> list[Any]:
        """Everything on a topic, in the order of arrival."""
        for message in self._consumer.consume(1000, timeout=0.02):
            name, value = message.topic(), message.value()
            if message.error() is None and name is not None and value is not None:
                self._said.setdefault(name.removeprefix(self._prefix), []).append(self._codec.decode(value))
        return self._said.setdefault(topic.name, [])

    def reports(self, run_id: str) -> list[RunReport]:
        """What agents have said of a run, each report once."""
        found = {report.seq: report for report in self.said(RUN_REPORTS) if report.run_id == run_id}
        return list(found.values())

    def kinds(self, run_id: str) -> list[str]:
        """Kinds of these reports."""
        return [report.kind.value for report in self.reports(run_id)]

    def await_report(self, run_id: str, kind: RunReportKind) -> RunReport:
        """Wait for a report."""
        return wait_for(
            lambda: [each for each in self.reports(run_id) if each.kind is kind],
            lambda: f"{kind} of {run_id}; there are {self.kinds(run_id)}",
        )[-1]

    def renewals(self) -> list[RunReport]:
        """Renewals of leases."""
        return [report for report in self.said(RUN_REPORTS) if report.kind is RunReportKind.RENEWED]

    def states(self) -> list[Any]:
        """States of the agent."""
        return [state for state in self.said(AGENTS) if state.agent_id == self.agent_id]


def run_spec(run_id: str, attempt: int = 1, *, node_id: str = "node", **running: Any) -> RunSpec:
    """A run whose program does nothing for a long time."""
    form = RunningForm(**{"steps": [{"command": ["sleep", "1000"]}]} | running)
    return RunSpec(
        mlapp_id=MLAPP,
        mlapp_name="Flights",
        definition_version=1,
        node_id=node_id,
        node_type="auxiliary",
        mode="online",
        pipeline_instance_id=f"{node_id}-0",
        run_id=run_id,
        attempt=attempt,
        running=form.spec(),
    )


def as_json(value: Any) -> str:
    """A value as a command carries it."""
    return json.dumps(value)
