"""Agents: which there are and how they are, and what a person asks of them."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.operations.actions import ALL_MLAPPS, new_action
from parallelm.operations.errors import UnknownAgentError
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import DecodeError, UnknownSchemaError
from parallelm.schemas.records import AgentCommand, AgentState, CommandKind, Heartbeat
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import require_topic
from parallelm.schemas.topic_reader import StartPoint, read_topic
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import ACTIONS, AGENT_COMMANDS, AGENTS, HEARTBEATS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.topics import Topic

SILENT_AFTER_MS: Final = 10_000
"""An agent that was not heard of for so long does not live, or is cut off."""
SILENT, ENDED, REMOVED = "silent", "ended", "removed"
REQUESTS: Final = {
    CommandKind.DRAIN: "takes no more runs",
    CommandKind.RESUME: "takes runs again",
    CommandKind.REMOVE: "stops its runs and ends",
}
"""What people ask, and what follows. Of an agent that is drained movable runs go elsewhere, pinned ones go on."""
_TIMEOUT_S = 15.0
_BEATS_AN_AGENT = 30


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as it last told of itself."""

    state: AgentState
    last_beat: Heartbeat | None
    """None when there was none for hours."""
    heard_ms_ago: int | None
    """Since then, by the brokers' stamp."""

    @property
    def is_alive(self) -> bool:
        """Whether it was heard of a moment ago, in the epoch that holds its name."""
        return self.heard_ms_ago is not None and self.heard_ms_ago < SILENT_AFTER_MS

    @property
    def condition(self) -> str:
        """Its own state (ready, draining, drained, ended, removed), or ``silent``."""
        if self.state.state in {ENDED, REMOVED} or self.is_alive:
            return self.state.state
        return SILENT

    @property
    def runs(self) -> int:
        """Runs on it that have not ended, as far as is known."""
        if self.last_beat is not None and self.state.state not in {ENDED, REMOVED}:
            return self.last_beat.runs
        return len(self.state.pipelines)


def list_agents(
    settings: Settings, *, also_removed: bool = False, timeout_s: float = _TIMEOUT_S
) -> list[Agent]:
    """Agents by name. Raises ``TopicsError`` when a topic is missing, ``ClusterUnavailableError`` when no broker answers."""
    states: dict[str, AgentState] = {}
    for _, state in _records(settings, AGENTS, StartPoint("beginning"), timeout_s):
        known = states.get(state.agent_id)
        # The first installation of an epoch holds the name: see the agent's claims.
        if (
            known is None
            or (state.epoch, state.installation_id) == (known.epoch, known.installation_id)
            or (state.epoch > known.epoch)
        ):
            states[state.agent_id] = state
    beats: dict[str, tuple[int, Heartbeat]] = {}
    newest = StartPoint("latest", max(100, _BEATS_AN_AGENT * len(states)))
    for at_ms, beat in _records(settings, HEARTBEATS, newest, timeout_s):
        holder = states.get(beat.agent_id)
        if holder is not None and beat.installation_id == holder.installation_id:
            beats[beat.agent_id] = at_ms, beat
    now_ms = max([_now_ms(), *(at_ms for at_ms, _ in beats.values())])
    found = [_agent(states[name], beats.get(name), now_ms) for name in sorted(states)]
    return [agent for agent in found if also_removed or agent.state.state != REMOVED]


def find_agent(settings: Settings, name: str) -> Agent:
    """One agent, also a removed one; raises ``UnknownAgentError``, and as ``list_agents``."""
    known = list_agents(settings, also_removed=True)
    for agent in known:
        if agent.state.agent_id == name:
            return agent
    names = ", ".join(agent.state.agent_id for agent in known) or "none"
    raise UnknownAgentError(f"no agent {name!r} has registered; there are: {names}")


def what_follows(agent_id: str, kind: CommandKind, *, is_alive: bool) -> str:
    """Of a request, in words."""
    when = "" if is_alive else "; it was not heard of for a while: this holds once it is back"
    return f"agent {agent_id} {REQUESTS[kind]}{when}"


def ask_agent(settings: Settings, name: str, kind: CommandKind, *, who: Author, comment: str = "") -> Agent:
    """Ask one of ``REQUESTS`` of an agent; one that is silent does so when it is back. Raises as ``find_agent``."""
    if kind not in REQUESTS:
        raise ValueError(kind)
    prefix = settings.kafka.topic_prefix
    for topic in (AGENT_COMMANDS, ACTIONS):
        require_topic(settings, topic.full_name(prefix), _TIMEOUT_S)
    agent = find_agent(settings, name)
    codec = Codec(make_registry(settings.schema_registry, prefix))
    audit = new_action(f"{kind.value}_agent", ALL_MLAPPS, who=who, comment=comment, target=name)
    command = AgentCommand(
        event_time_ms=audit.event_time_ms,
        command_id=audit.action_id,
        agent_id=name,
        epoch=agent.state.epoch,
        kind=kind,
        mlapp_id="",
        node_id="",
        run_id="",
        attempt=0,
        expires_at_ms=0,
        reason=comment or f"{kind.value} by {who.name}",
    )
    # The audit record first: a command without one would be one that nobody gave.
    records: list[tuple[Topic, Any]] = [(ACTIONS, audit), (AGENT_COMMANDS, command)]
    if kind is CommandKind.REMOVE and not agent.is_alive:
        gone = dataclasses.replace(agent.state, event_time_ms=_now_ms(), state=REMOVED, pipelines=[])
        records.append((AGENTS, gone))
    write_and_confirm(
        settings,
        [
            OutgoingRecord(topic.full_name(prefix), topic.key(each), codec.encode(each))
            for topic, each in records
        ],
        timeout_s=_TIMEOUT_S,
    )
    return agent


def _records(
    settings: Settings, topic: Topic, start: StartPoint, timeout_s: float
) -> Iterator[tuple[int, Any]]:
    """What can be decoded, with the brokers' stamp."""
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    name = topic.full_name(settings.kafka.topic_prefix)
    for raw in read_topic(settings, name, start, follow=False, timeout_s=timeout_s):
        if raw.value is None:
            continue
        try:
            yield raw.ingested_at_ms, codec.decode(raw.value)
        except (DecodeError, UnknownSchemaError):
            continue  # the sink counts it


def _agent(state: AgentState, beat: tuple[int, Heartbeat] | None, now_ms: int) -> Agent:
    if beat is None:
        return Agent(state, None, None)
    at_ms, last = beat
    return Agent(state, last, now_ms - at_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
