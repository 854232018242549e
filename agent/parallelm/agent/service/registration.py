"""Registers the agent: finds its epoch on the ``agents`` topic, and makes sure that nobody else holds its name."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.agent.errors import NameTakenError
from parallelm.agent.service.claims import SILENCE_S, holder_of, next_epoch, rival
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.partitioning import partition_of
from parallelm.schemas.topic_admin import connect, log_bounds, require_topic, topic_ids
from parallelm.schemas.topic_reader import read_to_end, reader_config
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.schemas.topics import AGENT_COMMANDS, AGENTS, HEARTBEATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.records import AgentState

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where the agent reads on in its partition of ``agent-commands``."""

    topic_id: str
    offset: int

    def __str__(self) -> str:
        return f"{self.topic_id}@{self.offset}"

    @classmethod
    def parse(cls, text: str | None) -> Position | None:
        """The inverse of ``str``."""
        topic_id, at, offset = (text or "").rpartition("@")
        return cls(topic_id, int(offset)) if at else None


@dataclass(frozen=True, slots=True)
class Registered:
    """The agent holds its name."""

    epoch: int
    commands: Position
    states_from: int
    """Offset in its partition of ``agents`` after its own state."""
    state_bytes: bytes
    """The state that it has written."""


class Registration:
    """Registers one agent; every method raises ``SchemaError`` when the cluster is away, to be called again then."""

    def __init__(self, settings: Settings, codec: Codec, state: AgentState) -> None:
        """``state`` as it is written, but for its epoch and time."""
        self._settings = settings
        self._codec = codec
        self._state = state
        self.key = AGENTS.key(state)
        self.partition = partition_of(self.key, AGENTS.partitions)

    def register(
        self,
        known_epoch: int,
        position: Position | None,
        now_ms: Callable[[], int],
        may_wait: Callable[[float], bool],
    ) -> Registered | None:
        """Take the name, or hold it again; raises ``NameTakenError``. None: ``may_wait`` has said that it is to end.

        ``known_epoch`` and ``position`` are those of before a restart.
        """
        prefix = self._settings.kafka.topic_prefix
        agents, commands = AGENTS.full_name(prefix), AGENT_COMMANDS.full_name(prefix)
        for topic in (AGENTS, AGENT_COMMANDS, HEARTBEATS):
            require_topic(self._settings, topic.full_name(prefix), _TIMEOUT_S)
        admin, _ = connect(self._settings, _TIMEOUT_S)
        topic_id = topic_ids(admin, [commands], _TIMEOUT_S)[commands]
        place = (commands, self.partition)
        # Commands to this epoch come after its state; what is there before is to others.
        end = log_bounds(admin, [place], _TIMEOUT_S)[place][1]
        states = self._states(admin, agents)
        mine = self._state.installation_id
        if other := rival(states, mine):
            if not self._is_silent(other, may_wait):
                return None
            states = self._states(admin, agents)
        epoch = next_epoch(states, mine)
        value = self._codec.encode(dataclasses.replace(self._state, epoch=epoch, event_time_ms=now_ms()))
        _, offset = TopicWriter(self._settings, timeout_s=_TIMEOUT_S).write_one(
            OutgoingRecord(agents, self.key, value)
        )
        holder = holder_of(self._states(admin, agents))
        if holder is None or holder.installation_id != mine:
            raise self._taken(holder)
        goes_on = position is not None and known_epoch == epoch and position.topic_id == topic_id
        return Registered(
            epoch, position if goes_on and position else Position(topic_id, end), offset + 1, value
        )

    def _states(self, admin: Any, topic: str) -> list[AgentState]:
        """All states of this agent's name that the topic holds, in order."""
        place = (topic, self.partition)
        first, end = log_bounds(admin, [place], _TIMEOUT_S)[place]
        if first >= end:
            return []
        consumer = self._reader(topic, first)
        try:
            found = [
                self._decoded(message.value())
                for message in read_to_end(consumer, {place: end}, _TIMEOUT_S)
                if message.key() == self.key and message.value() is not None
            ]
        finally:
            consumer.close()
        return [state for state in found if state is not None]

    def _is_silent(self, other: AgentState, may_wait: Callable[[float], bool]) -> bool:
        """Listen for heartbeats of another installation; False when this agent is asked to end meanwhile."""
        topic = HEARTBEATS.full_name(self._settings.kafka.topic_prefix)
        consumer = self._reader(topic, -1)
        deadline = time.monotonic() + SILENCE_S
        try:
            while time.monotonic() < deadline:
                if not may_wait(0):
                    return False
                message = consumer.poll(0.2)
                if message is None or message.error() is not None or message.key() != self.key:
                    continue
                beat = self._codec.decode(message.value())
                if beat.installation_id == other.installation_id:
                    raise self._taken(other)
        finally:
            consumer.close()
        return True

    def _reader(self, topic: str, offset: int) -> Any:
        from confluent_kafka import OFFSET_END, Consumer, TopicPartition

        consumer = Consumer(reader_config(self._settings.kafka, "mcenter-agent"))
        consumer.assign([TopicPartition(topic, self.partition, offset if offset >= 0 else OFFSET_END)])
        return consumer

    def _decoded(self, value: bytes) -> AgentState | None:
        try:
            state: AgentState = self._codec.decode(value)
        except DecodeError:
            return None
        return state

    def _taken(self, holder: AgentState | None) -> NameTakenError:
        where = f" on host {holder.hostname!r} (installation {holder.installation_id})" if holder else ""
        return NameTakenError(
            f"an agent {self._state.agent_id!r} runs already{where}; give this one another name with --name, or stop "
            "the other"
        )
