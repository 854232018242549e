"""What the control plane knows of agents, read from the real broker, whatever stands on the topics."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.records import AgentState, Heartbeat
from parallelm.schemas.topics import AGENTS, HEARTBEATS
from parallelm.stream_processors import agent_directory
from parallelm.stream_processors.agent_directory import AgentDirectory, KnownAgents
from parallelm.stream_processors.scheduling.agents import SILENT_MS
from tests.waiting import wait_for

from .tiny_agent import TinyAgent

if TYPE_CHECKING:
    from tests.stream_processors.live import Cluster


def test_records_that_nobody_can_read_hide_no_agent(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def heard_of() -> set[str]:
        views = directory.view(time.time_ns() // 1_000_000).views.values()
        return {each.agent_id for each in views if each.heard_of}

    with closing(AgentDirectory(own.settings, own.codec)) as directory, TinyAgent(own.settings, "host-a"):
        asyncio.run(directory.ready())
        wait_for(lambda: heard_of() == {"host-a"})
        for topic in (HEARTBEATS, AGENTS):
            own.send_bytes(topic, b"odd", None)
            own.send_bytes(topic, b"odd", b"\0nothing")
            own.send_bytes(topic, b"\xff", b"")
        own.flush()
        with TinyAgent(own.settings, "host-b"):
            wait_for(lambda: heard_of() == {"host-a", "host-b"})
        own.send_bytes(AGENTS, b"host-b", None)
        own.flush()
        wait_for(lambda: heard_of() == {"host-a"})
        asyncio.run(directory.ready())
        monkeypatch.setattr(agent_directory, "_STALE_S", -1.0)
        with pytest.raises(ClusterUnavailableError, match="not read for"):
            asyncio.run(directory.ready())


def test_what_an_agent_tells_is_seen_at_once_and_its_silence_soon() -> None:
    known = KnownAgents()
    state = AgentState(
        event_time_ms=0, agent_id="host-a", hostname="host", version="1", labels={}, pipelines=(), epoch=1,
        installation_id="a", runners=("process",), state="ready",
    )  # fmt: skip

    def beat(arrived_ms: int, *, runs: int = 0, says: str = "ready") -> None:
        said = Heartbeat(
            event_time_ms=0, agent_id="host-a", hostname="host", seq=0, epoch=1, installation_id="a", state=says, runs=runs,
        )  # fmt: skip
        known.heard(said, arrived_ms)

    def seen(now_ms: int) -> tuple[bool, str, int, int]:
        view = known.view(now_ms)
        agent = view.views["host-a"]
        return agent.heard_of, agent.state, agent.runs, view.generation

    known.registered("host-a", state, 0)
    assert seen(0) == (True, "ready", 0, 1)
    beat(10, runs=3)
    assert seen(10) == (True, "ready", 3, 1)  # another load is nothing that runs are judged by
    beat(20, says="draining")
    assert seen(20) == (True, "draining", 0, 2)
    silent_ms = 20 + SILENT_MS + 1
    assert seen(silent_ms - 50) == (True, "draining", 0, 2)
    assert seen(silent_ms + 100) == (False, "draining", 0, 3)
    beat(silent_ms + 101)
    assert seen(silent_ms + 101) == (True, "ready", 0, 4)
    assert seen(0) == (True, "ready", 0, 4)  # a record of before, of another MLApp
    known.registered("host-a", None, silent_ms + 102)
    assert not known.view(silent_ms + 102).views
